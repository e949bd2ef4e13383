"""What all networks have in common: images or event frames in, logits out, time first in between."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

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
    """Convolution, norm and neuron. A still image passes the first two once and is then repeated over time."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        design: "Design",
        *,
        kernel: int = 3,
        stride: int = 1,
        padding: int = 1,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.time_steps = design.time_steps
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, padding, bias=False)
        self.norm = TdBN(channels, scale)
        self.neuron = design.make_neuron(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, C, H, W] of images [B, C, H, W] or event frames [B, T, C, H, W]."""
        if x.dim() == 4:
            return fire(self.neuron, (self.norm, self.conv(x).unsqueeze(0)), repeats=self.time_steps)
        return fire(self.neuron, (self.norm, over_time(self.conv, x.transpose(0, 1))))


@dataclass(frozen=True)
class Design:
    """What a family builds a network for.

    width: multiplies the numbers of channels. image_size: height and width, which only heads on flattened features
    depend on. hidden: size of the linear layer before a residual network's last, 0 for none, None as released.
    """

    in_channels: int
    classes: int
    time_steps: int
    width: float
    image_size: tuple[int, int]
    hidden: int | None
    make_neuron: NeuronMaker

    def channels(self, base: int) -> int:
        """That many channels times the width; see `rounded_channels`."""
        return rounded_channels(base, self.width)


def rounded_channels(base: int, width: float) -> int:
    """That many channels times the width, as a multiple of 8, at least 8."""
    return max(8, 8 * round(base * width / 8))


class SpikingNetwork(nn.Module):
    """Stem, layers, mean over space or all positions as they are, linear head, mean over time.

    A family gives `layers` (time first, [T, B, C, H, W] in and out), the head, and whether it reads every position
    (`flat`) in place of the mean over space.
    """

    def __init__(self, stem: Stem, layers: nn.Sequential, head: nn.Sequential, *, flat: bool = False) -> None:
        super().__init__()
        last = head[-1]
        assert isinstance(last, nn.Linear)
        self.in_channels = stem.conv.in_channels
        self.classes = last.out_features
        self.time_steps = stem.time_steps
        self.flat = flat
        self.stem = stem
        self.layers = layers
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes]: the mean of `sequence` over time."""
        return self.sequence(x).mean(0)

    def sequence(self, x: Tensor) -> Tensor:
        """Logits of each time step, [T, B, classes], in float32 or wider.

        x: images [B, C, H, W] or event frames [B, T, C, H, W]. Raises ModelError where C, T or the rank does not
        fit.
        """
        self._check(x)
        features = self.layers(self.stem(x)).flatten(3)
        logits = self.head(self._flattened(features) if self.flat else features.mean(3))
        return logits if logits.itemsize > 2 else logits.float()

    def neurons(self) -> Iterator[tuple[str, Neuron]]:
        """Every layer of neurons with its name, from input to output."""
        for name, module in self.named_modules():
            if isinstance(module, Neuron):
                yield name, module

    def _flattened(self, features: Tensor) -> Tensor:
        """Features [T, B, C, positions] as the head takes them, [T, B, C * positions]."""
        first = self.head[0]
        assert isinstance(first, nn.Linear)
        count = features.shape[2] * features.shape[3]
        if count != first.in_features:
            raise ModelError(
                f"the input leaves {count} features, the network's head takes {first.in_features}",
                "give images of the size that the network was made for, or make it with their `image_size`",
            )
        return features.flatten(2)

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


def linear_head(sizes: Sequence[int], *, bias: bool = False) -> nn.Sequential:
    """Linear layers of those sizes, nothing between them."""
    return nn.Sequential(*(nn.Linear(a, b, bias=bias) for a, b in itertools.pairwise(sizes)))


def initialise(network: nn.Module) -> None:
    """Convolution weights drawn as He et al. (arXiv 1502.01852) do, from torch's generator."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
