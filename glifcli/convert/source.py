"""Weights of any of the formats as a network of ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import torch
from torch import Tensor

from glifcli import checkpoint
from glifcli.checkpoint import METADATA_KEY, Metadata
from glifcli.convert.keymap import renamed
from glifcli.convert.reading import is_safetensors, read_tensors
from glifcli.convert.recognise import recognise
from glifcli.errors import CheckpointError, GlifError
from glifcli.models.network import SpikingNetwork
from glifcli.models.registry import ModelConfig, from_config
from glifcli.neurons.base import THRESHOLD


@dataclass(frozen=True)
class Source:
    """A network that was read, in eval mode, and of what format; metadata where the file carries ours.

    keys: the number of tensors that the file holds, every one of which went into the network.
    """

    network: SpikingNetwork
    config: ModelConfig
    format: str
    keys: int
    metadata: Metadata | None


def read_source(path: Path, *, model: str | None = None, names: Mapping[str, str] | None = None) -> Source:
    """The network in a model file of ours, the authors' or SpikingJelly's.

    model: the name of the network, None to recognise it. names: what the file calls the parts, as `read_map` gives
    it. Raises CheckpointError for a file that is damaged, could run code or does not fit, and for weights that are
    not finite.
    """
    if path.is_file() and is_safetensors(path) and has_metadata(path):
        if model is not None or names is not None:
            raise GlifError(f"`{path}` is a model of ours and says what it is", "leave out `--model` and `--map`")
        network, metadata = checkpoint.load(path)
        check_finite(network.state_dict(), path)
        return Source(network, metadata.model_config(), "glif", len(network.state_dict()), metadata)
    tensors = read_tensors(path)
    mapped = tensors if names is None else renamed(tensors, names, str(path))
    match = recognise(mapped, str(path), model)
    check_finite(mapped, path)
    state = {ours: mapped[theirs] for ours, theirs in match.keys.items()}
    for weight, threshold in match.norm_thresholds.items():
        # Ours scales to 0.5; what theirs has more or less goes into the weight.
        state[weight] = state[weight] * (mapped[threshold] / THRESHOLD)
    with torch.random.fork_rng(devices=[]):
        network = from_config(match.config)
    network.load_state_dict(state)
    return Source(network.eval(), match.config, match.format, len(tensors), None)


def has_metadata(path: Path) -> bool:
    """Whether a safetensors file is a model of ours."""
    try:
        with safetensors.safe_open(path, "pt") as opened:
            return METADATA_KEY in (opened.metadata() or {})
    except (safetensors.SafetensorError, OSError):
        return False


def check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raises CheckpointError, naming every tensor that holds a number that is not finite."""
    bad = [name for name, value in tensors.items() if not value.isfinite().all()]
    if bad:
        raise CheckpointError(
            f"the weights of `{path}` are not finite: {', '.join(f'`{name}`' for name in bad)}",
            "the training diverged: give an earlier checkpoint",
        )
