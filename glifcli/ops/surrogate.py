"""Spikes with a surrogate gradient: a step going forward, a bump of height 1 around the threshold going back."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from glifcli.errors import ModelError, nearest


def rectangle(distance: Tensor) -> Tensor:
    """1 within half a unit of the threshold, the paper's surrogate (arXiv 2210.13768)."""
    return (distance.abs() < 0.5).to(distance.dtype)


def triangle(distance: Tensor) -> Tensor:
    """A hat of height 1 and half-width 1 (Bellec et al., arXiv 1803.09574, undamped)."""
    return (1 - distance.abs()).clamp(min=0)


def arctan(distance: Tensor) -> Tensor:
    """Derivative of arctan(pi z) / pi (Fang et al., arXiv 2007.05785)."""
    return 1 / (1 + (math.pi * distance).square())


def sigmoid(distance: Tensor) -> Tensor:
    """Derivative of the sigmoid of 4 z, whose height is 1."""
    value = torch.sigmoid(4 * distance)
    return 4 * value * (1 - value)


SURROGATES: dict[str, Callable[[Tensor], Tensor]] = {
    "rectangle": rectangle,
    "triangle": triangle,
    "arctan": arctan,
    "sigmoid": sigmoid,
}


def find(name: str) -> Callable[[Tensor], Tensor]:
    """The surrogate of that name: distance u - V in, ds/du out. Raises ModelError for an unknown one."""
    if name not in SURROGATES:
        raise ModelError(f"no surrogate `{name}`", nearest(name, SURROGATES))
    return SURROGATES[name]


class Spike(torch.autograd.Function):
    """1 where the distance to the threshold is above 0; the surrogate in its place going back."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor, surrogate: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(distance)
        ctx.surrogate = surrogate
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (distance,) = ctx.saved_tensors
        return grad_outputs[0] * ctx.surrogate(distance), None
