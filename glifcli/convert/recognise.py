"""Which of our networks a state dict is of, by its keys and shapes alone."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glifcli.checkpoint import misfits
from glifcli.convert.names import GLIF, Dialect
from glifcli.convert.official import official
from glifcli.convert.spikingjelly import SPIKINGJELLY
from glifcli.errors import CheckpointError
from glifcli.models.blocks import Pool
from glifcli.models.network import SpikingNetwork
from glifcli.models.registry import MODELS, ModelConfig, from_config
from glifcli.models.resnet import released_hidden
from glifcli.neurons.config import NeuronConfig


@dataclass(frozen=True)
class Match:
    """A network, the format whose names it was compared by, and what of the state dict does not fit it.

    keys: our key of each tensor to the file's. norm_thresholds: see `Dialect`.
    """

    config: ModelConfig
    format: str
    keys: dict[str, str]
    norm_thresholds: dict[str, str]
    problems: list[str]


def recognise(tensors: Mapping[str, Tensor], source: str, model: str | None = None) -> Match:
    """The network whose tensors these are, all of them; with `model` the one of that name.

    Raises CheckpointError with every tensor that is missing, unexpected or of another shape, held against the
    network that comes nearest.
    """
    candidates = [
        compare(tensors, name, dialect)
        for name in ([model] if model else MODELS)
        for dialect in (official(name), SPIKINGJELLY, GLIF)
        if dialect is not None
    ]
    best = min(candidates, key=lambda match: len(match.problems))
    if best.problems:
        lines = "\n".join(f"  {problem}" for problem in best.problems)
        what = "does not fit" if model else "fits no network; nearest is"
        raise CheckpointError(
            f"`{source}` {what} `{best.config.name}`, by the names of the format `{best.format}`:\n{lines}",
            "say with `--map` what its parts are called here"
            + (", or leave out `--model` to have the network recognised" if model else ", if it is one of `glif list`"),
        )
    return best


def compare(tensors: Mapping[str, Tensor], name: str, dialect: Dialect) -> Match:
    """That network, sized after the tensors, held against them."""
    with torch.device("meta"):
        config = sized(tensors, name, dialect)
        network = from_config(config)
    keys, thresholds = dialect.keys(network), dialect.norm_thresholds(network)
    wanted = {keys[ours]: value for ours, value in network.state_dict().items()}
    wanted |= dict.fromkeys(thresholds.values(), torch.empty((), device="meta"))
    return Match(config, dialect.name, keys, thresholds, misfits(wanted, dict(tensors)))


def sized(tensors: Mapping[str, Tensor], name: str, dialect: Dialect) -> ModelConfig:
    """The configuration that the stem, its neurons and the head tell; what they do not tell is as in the paper."""
    plain = from_config(ModelConfig(name, classes=100, time_steps=1))
    parts = dialect.parts(plain)

    def shape(part: str, leaf: str) -> tuple[int, ...]:
        value = tensors.get(f"{parts[part]}.{dialect.parameters.get(leaf, leaf)}")
        return () if value is None else tuple(value.shape)

    stem, conductance, tau = (
        shape(part, leaf)
        for part, leaf in (("stem.conv", "weight"), ("stem.neuron", "conductance"), ("stem.neuron", "tau"))
    )
    stem = stem if len(stem) == 4 and all(stem) else ()
    gated = f"{parts['stem.neuron']}.alpha" in tensors
    linear = list(linear_shapes(tensors, parts["head.0"]))
    return ModelConfig(
        name,
        classes=linear[-1][0] if linear else 100,
        time_steps=conductance[0] if conductance and conductance[0] else 1,
        in_channels=stem[1] if stem else None,
        width=width(plain, stem, linear),
        neuron=NeuronConfig(
            name="glif" if gated else "glif-f",
            share="layer" if len(conductance) == 1 else "channel",
            time_wise=gated and len(tau) == len(conductance) > 0,
        ),
        image_size=image_size(plain, stem, linear, MODELS[name].smallest),
        hidden=hidden(linear) if MODELS[name].has_hidden and linear else None,
    )


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


def width(plain: SpikingNetwork, stem: tuple[int, ...], linear: list[tuple[int, int]]) -> float:
    """The multiple of the channels, from the widest part that tells: the head's input, or the stem."""
    first = plain.head[0]
    assert isinstance(first, nn.Linear)
    if not plain.flat and linear:
        ratio = linear[0][1] / first.in_features
    else:
        ratio = stem[0] / plain.stem.conv.out_channels if stem else 1.0
    return ratio if 0 < ratio <= 8 else 1.0


def image_size(
    plain: SpikingNetwork, stem: tuple[int, ...], linear: list[tuple[int, int]], smallest: int
) -> tuple[int, int] | None:
    """The side of square images that a head on every position was made for, None for any other head."""
    if not plain.flat or not stem or not linear:
        return None
    ratio = stem[0] / plain.stem.conv.out_channels
    last = [module.out_channels for module in plain.modules() if isinstance(module, nn.Conv2d)][-1]
    pools = sum(isinstance(module, Pool) for module in plain.modules())
    side = math.isqrt(round(linear[0][1] / (last * ratio))) * 2**pools
    return (side, side) if side >= smallest else None
