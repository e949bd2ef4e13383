"""Tensors out of a file of any kind, without running what may be in it."""

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from glifcli.errors import CheckpointError

# Where training programs put the weights among other things: the authors' two, then what others are fond of.
CONTAINERS = ("state_dict", "net", "model_state_dict", "model", "weights", "module")
# What wrappers put before every key.
PREFIXES = ("module.", "_orig_mod.")
SAVE_AGAIN = "save its weights alone, `torch.save(model.state_dict(), path)`, where you trust the file"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a state dict by its key, prefixes of wrappers taken off.

    path: safetensors, or what `torch.save` wrote, read with `weights_only=True`. Raises CheckpointError for a file
    that is missing, damaged, would have to run code to be read, or holds no state dict or something else in it.
    """
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise CheckpointError(f"the checkpoint `{path}` {what}", "give a file of weights, or a run folder")
    found = _safetensors(path) if is_safetensors(path) else state_dict_in(_pickled(path), path)
    if not found:
        raise CheckpointError(f"`{path}` holds no tensors", "give a file of weights")
    odd = [key for key, value in found.items() if value.layout != torch.strided or value.device.type != "cpu"]
    if odd:
        raise CheckpointError(
            f"`{path}` holds tensors without plain numbers: {', '.join(f'`{key}`' for key in odd)}",
            "save them as ordinary tensors, such as `tensor.to_dense()`",
        )
    return without_prefixes(found)


def is_safetensors(path: Path) -> bool:
    """Whether the file begins as safetensors do: a length that fits the file, then JSON."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
        return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size
    except OSError as error:
        raise CheckpointError(f"cannot read `{path}`: {error.strerror}", "give a file that you may read") from None


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        raise damaged(path, error) from None


def _pickled(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(2)
    if start[:1] != b"\x80" and start != b"PK":
        # What the unpickler would say of such bytes says nothing.
        raise damaged(path, ValueError())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise refused(path, error) from None
    except Exception as error:  # torch raises nearly anything for a damaged file
        raise (refused if "TorchScript" in str(error) else damaged)(path, error) from None


def refused(path: Path, error: Exception) -> CheckpointError:
    """What to tell of a pickle that asks for more than weights, or that `torch.save` did not write."""
    wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
    if wanted is not None:
        return CheckpointError(
            f"`{path}` holds more than weights, `{wanted[1]}`, and reading that could run code: nothing of it was run",
            SAVE_AGAIN,
        )
    if "Unsupported operand" in str(error) or "TorchScript" in str(error):
        return CheckpointError(
            f"`{path}` is not of weights alone, and could run code: nothing of it was run",
            SAVE_AGAIN,
        )
    return damaged(path, error)


def damaged(path: Path, error: Exception) -> CheckpointError:
    """What to tell of a file that cannot be read to its end."""
    first = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
    reason = f": {first}" if " " in first else ""
    return CheckpointError(
        f"`{path}` is damaged, or neither safetensors nor what `torch.save` writes{reason}",
        "copy it again, or give a file of weights",
    )


def state_dict_in(found: Any, path: Path) -> dict[str, Tensor]:
    """The state dict that was read, or the one inside what was. Raises CheckpointError where there is none."""
    if isinstance(found, Mapping):
        inside = {str(key): value for key, value in found.items() if holds_tensors(value)}
        if len(inside) > 1:
            names = ", ".join(f"`{name}`" for name in inside)
            raise CheckpointError(f"`{path}` holds several state dicts, {names}", "save the one that is wanted alone")
        if inside and (next(iter(inside)) in CONTAINERS or not holds_tensors(found)):
            found = next(iter(inside.values()))
    if not holds_tensors(found):
        raise CheckpointError(f"`{path}` holds no state dict, no tensors by name", SAVE_AGAIN)
    wrong = [f"`{key}` is a {type(value).__name__}" for key, value in found.items() if not isinstance(value, Tensor)]
    wrong += [f"`{key}` is no name" for key in found if not isinstance(key, str)]
    if wrong:
        raise CheckpointError(f"not all in the state dict of `{path}` is a tensor: {', '.join(wrong)}", SAVE_AGAIN)
    return dict(found)


def holds_tensors(value: Any) -> bool:
    """Whether it looks like a state dict. An optimiser's, which is nested, does not, nor random states, all bytes."""
    return isinstance(value, Mapping) and any(
        isinstance(inner, Tensor) and inner.dtype != torch.uint8 for inner in value.values()
    )


def without_prefixes(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without what DistributedDataParallel and torch.compile put before every key."""
    for prefix in PREFIXES:
        if all(key.startswith(prefix) for key in found):
            return without_prefixes({key.removeprefix(prefix): value for key, value in found.items()})
    return dict(found)
