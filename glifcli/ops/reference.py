"""The specification: the recurrence in plain PyTorch, on any device and in any precision.

Per channel, with u and s at 0 before the first step (GLIF, arXiv 2210.13768, section 3, its gates folded into
constants):

    u_t = decay u_{t-1} (1 - reset_gate s_{t-1}) - leak + gain x_t - reset_sub s_{t-1}
    s_t = 1 if u_t > threshold else 0

The gradient of s_t by u_t is a surrogate of u_t - threshold; s is not detached anywhere. Every other backend
is an execution of these two lines and is held against them.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from glifcli.ops.constants import Constants
from glifcli.ops.surrogate import Spike


def step(
    x: Tensor, membrane: Tensor, spike: Tensor, k: Constants, surrogate: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """(membrane, spike) after one time step. All tensors [B, C, *space] in one dtype; `k` broadcasts to it."""
    membrane = k.decay * membrane * (1 - k.reset_gate * spike) - k.leak + k.gain * x - k.reset_sub * spike
    return membrane, Spike.apply(membrane - k.threshold, surrogate)


def run(
    x: Tensor,
    constants: Constants,
    state: tuple[Tensor, Tensor] | None,
    surrogate: Callable[[Tensor], Tensor],
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """(spikes, state) of the sequence x [T, B, C, *space]; see `glif_sequence`, which has checked the shapes."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    if state is None:
        membrane = spike = torch.zeros_like(x[0] if len(x) else x.new_empty(x.shape[1:]), dtype=dtype)
    else:
        membrane, spike = state[0].to(dtype), state[1].to(dtype)
    spikes = []
    for t, x_t in enumerate(x):
        k = constants.at(t).broadcast(x.dim() - 3, dtype)
        membrane, spike = step(x_t.to(dtype), membrane, spike, k, surrogate)
        spikes.append(spike.to(x.dtype))
    return stack_like(spikes, x), (membrane, spike.to(x.dtype))


def stack_like(steps: list[Tensor], x: Tensor) -> Tensor:
    """The time steps joined to a tensor with the shape and, where x is dense, the memory layout of x."""
    if not steps:
        return torch.empty_like(x)
    wanted = torch.empty_like(x, device="meta").stride()
    order = sorted(range(x.dim() - 1), key=lambda dim: -wanted[dim + 1])
    back = sorted(range(len(order)), key=order.__getitem__)
    joined = torch.stack([s.permute(order) for s in steps]).permute(0, *(dim + 1 for dim in back))
    return joined if joined.stride() == wanted else torch.empty_like(x).copy_(joined)
