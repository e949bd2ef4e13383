"""`glif_sequence`, the door to every backend of the operator."""

from collections.abc import Callable

import torch
from torch import Tensor

from glifcli.errors import ModelError, nearest
from glifcli.ops import reference
from glifcli.ops.constants import Constants
from glifcli.ops.surrogate import find

State = tuple[Tensor, Tensor]
Backend = Callable[[Tensor, Constants, State | None, Callable[[Tensor], Tensor]], tuple[Tensor, State]]

BACKENDS: dict[str, Backend] = {"reference": reference.run}
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def choose_backend(name: str, device: torch.device | str = "cpu") -> str:
    """The backend that `name` stands for on that device; "auto" takes the fastest that is there.

    Raises ModelError for a name that is not a backend or one that cannot run.
    """
    if name == "auto":
        return "reference"
    if name not in BACKENDS:
        raise ModelError(f"no backend `{name}`", nearest(name, ["auto", *BACKENDS]))
    return name


def glif_sequence(
    x: Tensor,
    constants: Constants,
    state: State | None = None,
    *,
    surrogate: str = "rectangle",
    backend: str = "auto",
) -> tuple[Tensor, State]:
    """(spikes, state) of a sequence of currents; the equation is in `ops/reference.py`.

    x: [T, B, C, *space] in float16, bfloat16, float32 or float64 and any memory layout; space may be empty.
    constants: each [C] or [T, C].
    state: (membrane, last spike), each [B, C, *space], as the piece of the sequence before returned it; None
    for rest, both 0.
    surrogate: a name of SURROGATES. backend: a name of BACKENDS, or "auto".

    The spikes, 0 or 1, have the shape, dtype and layout of x; the recurrence and the membrane are in float32,
    in float64 where x is. Raises ModelError, naming both numbers, for shapes that do not fit.
    """
    if x.dim() < 3:
        raise ModelError(
            f"the input has {x.dim()} dimensions, {list(x.shape)}; a sequence has 3 or more",
            "give it the shape [T, B, C, *space]: time steps, batch, channels, then space if any",
        )
    if x.dtype not in DTYPES:
        raise ModelError(f"the input is `{x.dtype}`", "convert it with `.float()` or `.bfloat16()`")
    constants.check(x.shape[0], x.shape[2])
    if state is not None and len(state) != 2:
        raise ModelError(f"the state has {len(state)} parts", "give (membrane, last spike), or none")
    for name, value in zip(("membrane", "last spike"), state or (), strict=False):
        if value.shape != x.shape[1:]:
            raise ModelError(
                f"the state's {name} has shape {list(value.shape)}, one time step of the input has {list(x.shape[1:])}",
                "give the state that the piece of this sequence before it returned, or none",
            )
    return BACKENDS[choose_backend(backend, x.device)](x, constants, state, find(surrogate))
