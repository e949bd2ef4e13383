"""Which backends there are, which can run here, and what "auto" stands for."""

import functools
import importlib
from dataclasses import dataclass
from typing import Any

import torch

from glifcli.errors import ModelError, nearest

BACKENDS = ("reference", "numba", "triton")


@dataclass(frozen=True)
class Fused:
    """Where a fused backend runs: its module, its kind of device, its dtypes, and what installs it."""

    module: str
    device: str
    dtypes: tuple[torch.dtype, ...]
    install: str


FUSED = {
    "numba": Fused("glifcli.ops.cpu.backend", "cpu", (torch.float32, torch.bfloat16), "pip install numba"),
    "triton": Fused(
        "glifcli.ops.cuda.backend", "cuda", (torch.float32, torch.bfloat16, torch.float16), "pip install triton"
    ),
}


@functools.cache
def load(name: str) -> tuple[Any, str]:
    """(the kernels of that fused backend, ""), or (None, why they cannot run here). Imports what it needs."""
    if FUSED[name].device == "cuda" and not torch.cuda.is_available():
        return None, "no CUDA device"
    try:
        kernels = importlib.import_module(FUSED[name].module)
        kernels.check()
    except Exception as error:
        # A package that is missing, one that does not go with the others, a compiler or a driver that is not there.
        return None, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return kernels, ""


def told() -> dict[str, str]:
    """Of every backend, whether it can run on this machine, and what it has to say of itself or why it cannot."""
    said = {"reference": "runs: plain PyTorch, on any device"}
    for name in FUSED:
        kernels, why = load(name)
        said[name] = f"cannot run: {why}" if kernels is None else f"runs: {kernels.told()}"
    return said


def check_backend(name: str) -> None:
    """Raises ModelError unless `name` is "auto" or a backend, whether or not it can run here."""
    if name not in ("auto", *BACKENDS):
        raise ModelError(f"no backend `{name}`", nearest(name, ["auto", *BACKENDS]))


def choose_backend(name: str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> str:
    """The backend that `name` stands for with that device and dtype; "auto" takes the fastest that can run.

    Raises ModelError for a name that is not a backend, and for one, "auto" apart, that cannot run, saying why.
    """
    check_backend(name)
    device = torch.device(device)
    if name == "auto":
        # While a graph is traced, plain PyTorch is what a compiler or an export can read.
        if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined]
            return "reference"
        fits = (k for k, fused in FUSED.items() if fused.device == device.type and dtype in fused.dtypes)
        return next((k for k in fits if load(k)[0] is not None), "reference")
    if name in FUSED:
        fused = FUSED[name]
        if device.type != fused.device:
            raise ModelError(
                f"the backend `{name}` runs on `{fused.device}`, not on `{device.type}`",
                f"give `--device {fused.device}`, or `--backend auto`",
            )
        if dtype not in fused.dtypes:
            known = " and ".join(f"`{str(known).removeprefix('torch.')}`" for known in fused.dtypes)
            raise ModelError(
                f"the backend `{name}` has no `{str(dtype).removeprefix('torch.')}`, only {known}",
                "give another precision, or `--backend reference`",
            )
        kernels, why = load(name)
        if kernels is None:
            raise ModelError(f"the backend `{name}` cannot run here: {why}", f"`{fused.install}`, or `--backend auto`")
    return name
