"""What no longer changes once a network is trained, worked out once: tdBN in the convolutions, constants packed."""

import copy

import torch
from torch import Tensor, nn

from glifcli.models.network import SpikingNetwork
from glifcli.models.tdbn import TdBN
from glifcli.neurons.base import Neuron
from glifcli.ops import Branch, Constants, Current, Packed, packed_for


class FixedNorm(nn.Module):
    """What a tdBN in eval mode does: x * scale + shift by channel."""

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)
        self.scale: Tensor
        self.shift: Tensor

    def forward(self, x: Tensor, repeats: int = 1) -> Tensor:
        """Output for [N, C, H, W]."""
        return x * self.scale.view(-1, 1, 1) + self.shift.view(-1, 1, 1)

    def branch(self, y: Tensor, backend: str, repeats: int = 1) -> Branch:
        """The same output, not carried out; see `TdBN.branch`."""
        return Branch(y, self.scale, self.shift)


class FixedNeuron(Neuron):
    """Neurons whose constants are fixed; for a fused backend they are packed, with the norms before, only once."""

    def __init__(self, neuron: Neuron) -> None:
        super().__init__(neuron.channels, neuron.time_steps, surrogate=neuron.surrogate, backend=neuron.backend)
        self.fixed = neuron.constants()
        self.packed: Packed | None = None

    def constants(self) -> Constants:
        return self.fixed

    def pack(self, current: Current) -> Packed:
        if self.packed is None:
            self.packed = packed_for(current, self.fixed)
        return self.packed


@torch.no_grad()
def folded(network: SpikingNetwork) -> SpikingNetwork:
    """A copy for inference, on the network's device: the same logits within rounding, nothing left to learn.

    A tdBN behind a convolution becomes the convolution's scale and bias; any other becomes a scale and a shift that
    the neurons after it take in. Moved to another device or dtype, it has to be folded anew.
    """
    network = copy.deepcopy(network).eval().requires_grad_(False)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, TdBN):
                # By name, as in every block: `norm2` follows `conv2`.
                setattr(module, name, _fold(child, getattr(module, name.replace("norm", "conv"), None)))
            elif isinstance(child, Neuron):
                setattr(module, name, FixedNeuron(child))
    return network


def _fold(norm: TdBN, conv: nn.Module | None) -> FixedNorm:
    """What is left of the norm once the convolution before it, if any, has taken it in."""
    scale, shift = norm.scale_and_shift()
    if not isinstance(conv, nn.Conv2d):
        return FixedNorm(scale, shift)
    assert conv.bias is None
    assert conv.out_channels == norm.num_features
    conv.weight.mul_(scale.view(-1, 1, 1, 1))
    conv.bias = nn.Parameter(shift.to(conv.weight.dtype), requires_grad=False)
    return FixedNorm(torch.ones_like(scale), torch.zeros_like(shift))
