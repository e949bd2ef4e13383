"""The sizes of a network, read from the shapes of its tensors; what most of them say, so that one may be damaged."""

import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from glifcli.convert.names import Dialect
from glifcli.models.blocks import Pool
from glifcli.models.network import SpikingNetwork, rounded_channels
from glifcli.models.registry import MODELS, ModelConfig, from_config
from glifcli.models.resnet import released_hidden
from glifcli.neurons.base import Neuron
from glifcli.neurons.config import NeuronConfig

Shape = tuple[int, ...]
# The most decimals that a width is told in.
DECIMALS = 6


@functools.cache
def plain_network(name: str) -> SpikingNetwork:
    """That network as in the paper, without memory, for 100 classes and one time step."""
    with torch.device("meta"):
        return from_config(ModelConfig(name, classes=100, time_steps=1))


def sized(tensors: Mapping[str, Tensor], name: str, dialect: Dialect) -> ModelConfig:
    """The configuration of that network that the tensors tell; what they do not tell is as in the paper."""
    plain = plain_network(name)
    parts = dialect.parts(plain)

    def shape(part: str, leaf: str) -> Shape:
        value = tensors.get(f"{parts[part]}.{dialect.parameters.get(leaf, leaf)}")
        return () if value is None else tuple(value.shape)

    neurons = [part for part, module in plain.named_modules() if isinstance(module, Neuron)]
    conductance = most(len(shape(part, "conductance")) for part in neurons)
    gated = most(f"{parts[part]}.alpha" in tensors for part in neurons)
    time_steps = most(shape(part, "conductance")[:1] for part in neurons)
    tau = most(len(shape(part, "tau")) for part in neurons)
    linear = list(linear_shapes(tensors, parts["head.0"]))
    stem = shape("stem.conv", "weight")
    multiple = width(
        (module.out_channels, shape(part, "weight"))
        for part, module in plain.named_modules()
        if isinstance(module, nn.Conv2d)
    )
    return ModelConfig(
        name,
        classes=linear[-1][0] if linear else 100,
        time_steps=time_steps[0] if time_steps and time_steps[0] else 1,
        in_channels=stem[1] if len(stem) == 4 and stem[1] else None,
        width=multiple,
        neuron=NeuronConfig(
            name="glif" if gated else "glif-f",
            share="layer" if conductance == 1 else "channel",
            time_wise=gated and tau == conductance > 0,
        ),
        image_size=image_size(plain, multiple, linear, MODELS[name].smallest),
        hidden=hidden(linear) if MODELS[name].has_hidden and linear else None,
    )


def most(found: Iterable[Any]) -> Any:
    """The commonest; of equally common ones the first."""
    return Counter(found).most_common(1)[0][0]


def linear_shapes(tensors: Mapping[str, Tensor], first: str) -> Iterator[tuple[int, int]]:
    """The shapes of the head's linear layers, as far as they are numbered from the first on."""
    stem, _, number = first.rpartition(".")
    names = [first] if not number.isdigit() else [f"{stem}.{index}" for index in range(len(tensors))]
    for name in names:
        value = tensors.get(f"{name}.weight")
        if value is None or value.dim() != 2 or not value.numel():
            return
        yield value.shape[0], value.shape[1]


def hidden(linear: list[tuple[int, int]]) -> int | None:
    """The size of the linear layer before a ResNet's last, 0 for none, None where it is as released."""
    size = linear[0][0] if len(linear) == 2 else 0
    return None if size == released_hidden(linear[0][1], linear[-1][0]) else size


def width(layers: Iterable[tuple[int, Shape]]) -> float:
    """The multiple of the channels that most layers, (channels at width 1, shape found), agree on.

    Channels are rounded to a multiple of 8, so that a range of widths makes them: 1 where it is among those, else
    the plain ratio of most layers, else the number with the fewest decimals.
    """
    found = [(base, shape[0]) for base, shape in layers if len(shape) == 4 and shape[0] > 0]
    if not found:
        return 1.0
    bounds = [
        (Fraction(channels - 4, base) if channels > 8 else Fraction(0), Fraction(channels + 4, base))
        for base, channels in found
    ]

    def votes(value: Fraction) -> int:
        return sum(low < value < high for low, high in bounds)

    ends = sorted({end for bound in bounds for end in bound})
    inside = [(a + b) / 2 for a, b in itertools.pairwise(ends)]
    middle = max(inside, key=votes)
    rounded = [Fraction(round(middle, decimals)) for decimals in range(DECIMALS)]
    plain = [Fraction(1), most(Fraction(channels, base) for base, channels in found)]
    best = next(value for value in (*plain, *rounded, middle) if votes(value) == votes(middle))
    return float(best) if 0 < best <= 8 else 1.0


def image_size(
    plain: SpikingNetwork, multiple: float, linear: list[tuple[int, int]], smallest: int
) -> tuple[int, int] | None:
    """The side of square images that a head on every position was made for, None for any other head."""
    if not plain.flat or not linear:
        return None
    last = [module.out_channels for module in plain.modules() if isinstance(module, nn.Conv2d)][-1]
    pools = sum(isinstance(module, Pool) for module in plain.modules())
    side = math.isqrt(linear[0][1] // rounded_channels(last, multiple)) * 2**pools
    return (side, side) if side >= smallest else None
