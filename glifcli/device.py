"""Where a computation runs and in which precision: what was asked for, checked, and what "auto" stands for."""

import contextlib
import os
import shutil
from collections.abc import Iterator

import torch

from glifcli.errors import GlifError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp64": torch.float64}


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is the first accelerator, else the CPU. Raises GlifError for one not there."""
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise GlifError(f"no device `{name}`", f"give {_there()}") from None
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, ImportError):
        raise GlifError(f"the device `{name}` is not there", f"give {_there()}") from None
    if device.type == "cpu" and device.index:
        raise GlifError(f"the device `{name}` is not there", f"give {_there()}")
    if device.type == "meta":
        raise GlifError("the device `meta` holds no numbers", f"give {_there()}")
    return device


def _there() -> str:
    """The devices of this machine, as a choice for `--device`."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    names = ["cpu"]
    if accelerator is not None:
        names += [f"{accelerator.type}:{index}" for index in range(torch.accelerator.device_count())]
    return " or ".join(f"`--device {name}`" for name in names)


def choose_precision(name: str, device: torch.device) -> str:
    """The precision of that name; "auto" is bf16 where the hardware multiplies bfloat16 matrices, else fp32."""
    if name != "auto":
        if name == "fp64" and device.type == "mps":
            raise GlifError("the device `mps` has no fp64", "give `--precision fp32` or `--device cpu`")
        return name
    return "bf16" if multiplies_bfloat16(device) else "fp32"


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 by hardware: a CPU with AMX or AVX512-BF16, a CUDA GPU since Ampere."""
    if device.type == "cpu":
        # Not public yet in PyTorch: where they are missing, fp32 is the answer that is never wrong.
        checks = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
        return any(check is not None and check() for check in checks)
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return False


def can_compile(device: torch.device) -> bool:
    """Whether torch.compile finds the C++ compiler that it needs on the CPU."""
    if device.type != "cpu":
        return True
    names = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "clang++", "c++", "cl"]
    return any(shutil.which(name) for name in names)


@contextlib.contextmanager
def deterministic(on: bool) -> Iterator[None]:
    """Within it, only algorithms that give the same bits each time, where `on`; the setting before comes back."""
    before = torch.are_deterministic_algorithms_enabled()
    if on:
        # What CUDA's matrix products need to repeat themselves; read when CUDA starts.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(on or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
