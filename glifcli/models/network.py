"""What all networks have in common: images or event frames in, logits out, time first in between."""

import itertools
from collections.abc import Callable, Iterator

from torch import Tensor, nn

from glifcli.errors import ModelError
from glifcli.models.tdbn import TdBN
from glifcli.neurons.base import Neuron
from glifcli.ops import Current

NeuronMaker = Callable[[int], Neuron]


def over_time(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer for [N, ...] applied to each time step of [T, B, ...]."""
    return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def fire(neuron: Neuron, *inputs: tuple[TdBN, Tensor], repeats: int = 1) -> Tensor:
    """Spikes [T, B, C, H, W] of neurons that take in the sum of the inputs, each normalised.

    inputs: what convolutions gave, [T, B, C, H, W], or [1, B, C, H, W] that `repeats` at every step. On a fused
    backend norm, sum and neurons are one step, and neither the norm's output nor the sum is ever stored; hooks on
    the norms are then not called.
    """
    backend = neuron.chosen_backend(inputs[0][1])
    # One value a channel has no variance, and none has no mean: what is said of those is PyTorch's.
    if backend != "reference" and all(y.numel() > y.shape[2] for _, y in inputs):
        return neuron(Current(tuple(norm.branch(y, backend, repeats) for norm, y in inputs), neuron.time_steps))
    total: Tensor | None = None
    for norm, y in inputs:
        current = norm(y.flatten(0, 1), repeats=repeats).unflatten(0, y.shape[:2])
        total = current if total is None else total + current
    assert total is not None
    return neuron(total.expand(neuron.time_steps, *total.shape[1:]))


class Stem(nn.Module):
    """Convolution, tdBN and neuron. A still image passes the first two once and is then repeated over time."""

    def __init__(self, in_channels: int, channels: int, time_steps: int, make_neuron: NeuronMaker) -> None:
        super().__init__()
        self.time_steps = time_steps
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.norm = TdBN(channels)
        self.neuron = make_neuron(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, C, H, W] of images [B, C, H, W] or event frames [B, T, C, H, W]."""
        if x.dim() == 4:
            return fire(self.neuron, (self.norm, self.conv(x).unsqueeze(0)), repeats=self.time_steps)
        return fire(self.neuron, (self.norm, over_time(self.conv, x.transpose(0, 1))))


class SpikingNetwork(nn.Module):
    """Stem, spiking layers, mean over space, linear head, mean over time.

    A family gives `layers` (spikes to spikes, time first) and the number of channels that they end with.
    """

    def __init__(self, stem: Stem, layers: nn.Sequential, features: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.in_channels = stem.conv.in_channels
        self.classes = classes
        self.time_steps = stem.time_steps
        self.stem = stem
        self.layers = layers
        self.head = nn.Sequential(*_head(features, hidden, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes]: the mean of `sequence` over time."""
        return self.sequence(x).mean(0)

    def sequence(self, x: Tensor) -> Tensor:
        """Logits of each time step, [T, B, classes], in float32 or wider.

        x: images [B, C, H, W] or event frames [B, T, C, H, W]. Raises ModelError where C, T or the rank does not
        fit.
        """
        self._check(x)
        spikes = self.layers(self.stem(x))
        logits = self.head(spikes.flatten(3).mean(3))
        return logits if logits.itemsize > 2 else logits.float()

    def neurons(self) -> Iterator[tuple[str, Neuron]]:
        """Every layer of neurons with its name, from input to output."""
        for name, module in self.named_modules():
            if isinstance(module, Neuron):
                yield name, module

    def _check(self, x: Tensor) -> None:
        if x.dim() not in (4, 5):
            raise ModelError(
                f"the input has {x.dim()} dimensions, {list(x.shape)}",
                "give images [B, C, H, W] or event frames [B, T, C, H, W]",
            )
        if x.shape[-3] != self.in_channels:
            raise ModelError(
                f"the input has {x.shape[-3]} channels, the network {self.in_channels}",
                f"give images [B, {self.in_channels}, H, W] or event frames [B, T, {self.in_channels}, H, W]",
            )
        if x.dim() == 5 and x.shape[1] != self.time_steps:
            raise ModelError(
                f"the input has {x.shape[1]} time steps, the network {self.time_steps}",
                f"give event frames [B, {self.time_steps}, C, H, W]",
            )


def _head(features: int, hidden: int, classes: int) -> list[nn.Module]:
    """The linear head, without bias; `hidden` above 0 puts a layer of that size before the last."""
    sizes = [features, hidden, classes] if hidden else [features, classes]
    return [nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(sizes)]


def scaled(channels: int, width: float) -> int:
    """That many channels times the width, as a multiple of 8, at least 8."""
    return max(8, 8 * round(channels * width / 8))


def initialise(network: nn.Module) -> None:
    """Convolution weights drawn as He et al. (arXiv 1502.01852) do, from torch's generator."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
