"""`glif_sequence`, the door to every backend of the operator."""

import torch
from torch import Tensor

from glifcli.errors import ModelError
from glifcli.ops import reference
from glifcli.ops.backends import choose_backend, load
from glifcli.ops.constants import Constants
from glifcli.ops.current import Current
from glifcli.ops.fused import Moments, Packed, Recurrence, packed
from glifcli.ops.layout import layout_of
from glifcli.ops.surrogate import find

State = tuple[Tensor, Tensor]
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


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
    constants: each [C] or [T, C]; for a piece of a sequence those of its steps, `constants.steps(start, stop)`.
    state: (membrane, last spike), each [B, C, *space], as the piece of the sequence before returned it; None
    for rest, both 0.
    surrogate: a name of SURROGATES. backend: a name of BACKENDS, or "auto".

    The spikes, 0 or 1, have the shape, dtype and layout of x; the recurrence and the membrane are in float32,
    in float64 where x is. Raises ModelError, naming both numbers, for shapes that do not fit.
    """
    spikes, end = _run(x, constants, state, surrogate, backend, keep=True)
    assert end is not None
    return spikes, end


def glif_spikes(x: Tensor, constants: Constants, *, surrogate: str = "rectangle", backend: str = "auto") -> Tensor:
    """The spikes that `glif_sequence` gives from rest; the state after them is not even computed where fused."""
    return _run(x, constants, None, surrogate, backend, keep=False)[0]


def current_spikes(current: Current, constants: Packed, *, surrogate: str, backend: str) -> Tensor:
    """The spikes [T, B, C, *space] of a sum of branches, from rest, by the fused backend of that name.

    constants: what `packed_for` makes of the current and the neurons' constants.
    """
    kernels, _ = load(backend)
    ys = [branch.y for branch in current.branches]
    spikes: Tensor = Recurrence.apply(kernels, surrogate, False, *constants, None, None, *ys)[0]
    return spikes


def batch_moments(y: Tensor, backend: str) -> tuple[Tensor, Tensor, Tensor]:
    """(y, mean, variance) of y [T or 1, B, C, *space], by the fused backend of that name; go on with that y."""
    return Moments.apply(load(backend)[0], y)


def _run(
    x: Tensor, constants: Constants, state: State | None, surrogate: str, backend: str, *, keep: bool
) -> tuple[Tensor, State | None]:
    _check(x, constants, state)
    bump = find(surrogate)
    name = choose_backend(backend, x.device, x.dtype)
    if name == "reference":
        return reference.run(x, constants, state, bump)
    kernels, _ = load(name)
    drive, steady = packed(constants, x.shape[0])
    before = (None, None) if state is None else (state[0].float(), state[1].float())
    spikes, *end = Recurrence.apply(kernels, surrogate, keep, drive, steady, *before, x)
    if layout_of(x) is None:
        spikes = torch.empty_like(x).copy_(spikes)
    return spikes, (end[0], end[1].to(x.dtype)) if keep else None


def _check(x: Tensor, constants: Constants, state: State | None) -> None:
    """Raises ModelError for what does not fit."""
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
