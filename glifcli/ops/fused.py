"""The recurrence as one differentiable step, whatever kernels carry it out.

A backend gives the kernels; here is what they have in common: the constants packed for them, and the gradients.
Nothing but the inputs is kept for the backward pass. It runs the recurrence again, so that neither a normalised
current nor a membrane is ever stored.
"""

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from glifcli.ops.constants import Constants
from glifcli.ops.current import Current

# The mark of a gradient that nothing else holds.
OWN = "_glif_own"
STEADY = ("decay", "reset_gate", "reset_sub", "threshold")
State = tuple[Tensor, Tensor]
# (drive, steady), the constants as the kernels read them; see `Kernels`.
Packed = tuple[Tensor, Tensor]


class Kernels(Protocol):
    """What a fused backend carries out, all of it without gradients.

    ys: one or two currents [T or 1, B, C, *space] of one dtype; 1 stands for a current that repeats. drive:
    float32 [1 + branches, T, C], leak and the gain of each branch. steady: float32 [4, T or 1, C], the constants
    of STEADY. A state is (membrane, last spike), both float32 [B, C, *space].
    """

    def forward(
        self, ys: list[Tensor], drive: Tensor, steady: Tensor, state: State | None, *, keep: bool, grad: bool
    ) -> tuple[Tensor, State | None, list[Tensor]]:
        """(spikes, state after it or None unless `keep`, what `backward` wants back if `grad`)."""

    def backward(
        self,
        ys: list[Tensor],
        drive: Tensor,
        steady: Tensor,
        kept: list[Tensor],
        grad_spikes: Tensor,
        grad_state: State | None,
        surrogate: str,
    ) -> tuple[list[Tensor], Tensor, Tensor, State | None]:
        """(gradients of ys, sums of drive, sums of steady, gradient of the state before or None from rest).

        With G the gradient of the membrane after a step, u and s the membrane and the spike before it and D the
        gradient of u - threshold, the sums over batch and space are: for drive [1 + branches, T, C], of G and of
        G times each y; for steady [4, T or 1, C], over steps too where it is 1, of G u, G u s, G s and D.
        """

    def moments(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, variance), each [C], of y [1 or T, B, C, *space]; the variance is that of a population."""

    def add_affine(self, grad: Tensor, y: Tensor, scale: Tensor, shift: Tensor) -> None:
        """Adds y * scale + shift, by channel, to `grad` in place."""


def packed(constants: Constants, time_steps: int) -> Packed:
    """The constants for one branch."""
    leak, gain = (spread(value, time_steps) for value in (constants.leak, constants.gain))
    return torch.stack([leak, gain]).float(), _steady(constants, time_steps)


def packed_for(current: Current, constants: Constants) -> Packed:
    """The constants that take in each branch's y as it is: its scale joins the gain, its shift the leak."""
    leak, gain = (spread(value, current.time_steps).float() for value in (constants.leak, constants.gain))
    shift = sum(branch.shift for branch in current.branches)
    gains = [gain * branch.scale for branch in current.branches]
    return torch.stack([leak - gain * shift, *gains]).float(), _steady(constants, current.time_steps)


def spread(value: Tensor, time_steps: int) -> Tensor:
    """A constant [C] or [T, C] as [T, C]."""
    return value.expand(time_steps, -1)


def _steady(constants: Constants, time_steps: int) -> Tensor:
    values = [getattr(constants, name) for name in STEADY]
    if any(value.dim() == 2 for value in values):
        return torch.stack([spread(value, time_steps) for value in values]).float()
    return torch.stack(values).float().unsqueeze(1)


class Recurrence(torch.autograd.Function):
    """(spikes,), or (spikes, membrane, last spike) with `keep`; membrane and last spike in float32."""

    @staticmethod
    def forward(
        ctx: Any,
        kernels: Kernels,
        surrogate: str,
        keep: bool,
        drive: Tensor,
        steady: Tensor,
        membrane: Tensor | None,
        last: Tensor | None,
        *ys: Tensor,
    ) -> tuple[Tensor, ...]:
        state = None if membrane is None or last is None else (membrane, last)
        grad = any(ctx.needs_input_grad)
        spikes, end, kept = kernels.forward(list(ys), drive, steady, state, keep=keep, grad=grad)
        ctx.kernels, ctx.surrogate, ctx.branches = kernels, surrogate, len(ys)
        ctx.from_rest = state is None
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(drive, steady, *ys, *kept)
        return (spikes,) if end is None else (spikes, *end)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        drive, steady, *rest = ctx.saved_tensors
        ys, kept = list(rest[: ctx.branches]), list(rest[ctx.branches :])
        steps = drive.shape[1]
        shape = (steps, *ys[0].shape[1:])
        grad_spikes, *ends = grads
        if grad_spikes is None:
            grad_spikes = ys[0].new_zeros(shape)
        grad_state = None
        if any(grad is not None for grad in ends):
            first, second = (drive.new_zeros(shape[1:]) if grad is None else grad for grad in ends)
            grad_state = first, second
        grad_ys, sums, steady_sums, before = ctx.kernels.backward(
            ys, drive, steady, kept, grad_spikes, grad_state, ctx.surrogate
        )
        decay, reset_gate, _, _ = steady
        membrane, spent, spikes, distance = steady_sums
        grad_drive = torch.cat([-sums[:1], sums[1:]])
        grad_steady = torch.stack([membrane - reset_gate * spent, -decay * spent, -spikes, -distance])
        for grad in grad_ys:
            setattr(grad, OWN, True)
        state = (None, None) if ctx.from_rest or before is None else before
        return None, None, None, grad_drive, grad_steady, *state, *grad_ys


class Moments(torch.autograd.Function):
    """(y, mean, variance) of y [T or 1, B, C, *space], y handed on as it is.

    All that follows from y then comes back at once, the gradients of the moments with that of y, and where that is
    `Recurrence`'s the one is added to the other in place.
    """

    @staticmethod
    def forward(ctx: Any, kernels: Kernels, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = kernels.moments(y)
        ctx.kernels = kernels
        ctx.save_for_backward(y, mean)
        return y.view_as(y), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        grad, grad_mean, grad_variance = grads
        y, mean = ctx.saved_tensors
        count = y.numel() // y.shape[2]
        scale = 2 * grad_variance / count
        # A gradient that `Recurrence` made belongs to no one else; any other may.
        grad = grad if getattr(grad, OWN, False) else grad.clone(memory_format=torch.contiguous_format)
        ctx.kernels.add_affine(grad, y, scale, grad_mean / count - scale * mean)
        return None, grad
