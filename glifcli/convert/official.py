"""The names that the authors' code gives to the parts of their networks (github.com/Ikarosy/Gated-LIF)."""

from collections.abc import Callable, Iterator

from glifcli.convert.names import Dialect
from glifcli.models.blocks import Block, Layer, MembraneBlock, SpikeElementWiseBlock
from glifcli.models.network import SpikingNetwork

# Pairs of our name of a part and the authors'.
Names = Iterator[tuple[str, str]]

PARAMETERS = {"threshold": "Vth", "reset": "reVth", "conductance": "conduct"}


def residual(network: SpikingNetwork) -> Names:
    """The ResNets: `conv1`, then `features` of blocks with a `body`, a `downsample` and, last, a `lif`; `lastave`."""
    yield from layer("stem", "conv1")
    for index, block in enumerate(network.layers):
        assert isinstance(block, Block | MembraneBlock)
        ours, theirs = f"layers.{index}", f"features.{index}"
        first = 0 if isinstance(block, Block) else 1
        for number in (1, 2):
            place = first + 2 * (number - 1)
            yield f"{ours}.conv{number}", f"{theirs}.body.{place}.0"
            yield f"{ours}.norm{number}", f"{theirs}.body.{place}.1"
            last = isinstance(block, Block) and number == 2
            neuron = "lif" if last else f"body.{place + 1 if isinstance(block, Block) else place - 1}"
            yield f"{ours}.neuron{number}", f"{theirs}.{neuron}"
        resized = any(True for _ in block.shortcut.conv.parameters())
        yield f"{ours}.shortcut.conv", f"{theirs}.downsample.0.0"
        yield f"{ours}.shortcut.norm", f"{theirs}.downsample.0.1" if resized else f"{theirs}.downsample.0"
    yield from head(network, "lastave.{}")


def plain(network: SpikingNetwork) -> Names:
    """CIFARNet: `features`, in which convolution with norm, neuron and pooling are counted through; `classifier`."""
    place = 0
    for ours, module in [("stem", network.stem), *((f"layers.{i}", m) for i, m in enumerate(network.layers))]:
        if hasattr(module, "neuron"):
            yield f"{ours}.conv", f"features.{place}.0"
            yield f"{ours}.norm", f"features.{place}.1"
            yield f"{ours}.neuron", f"features.{place + 1}"
            place += 2
        else:
            place += 1
    yield from head(network, "classifier.{}")


def wide(network: SpikingNetwork) -> Names:
    """7B-wideNet: `conv`, in which stem, blocks and pooling are counted through; `out`."""
    yield from layer("stem", "conv.0")
    for index, block in enumerate(network.layers):
        ours, theirs = f"layers.{index}", f"conv.{index + 1}"
        if isinstance(block, Layer):
            yield from layer(ours, theirs)
        elif isinstance(block, SpikeElementWiseBlock):
            for number in (1, 2):
                yield from layer(f"{ours}.layer{number}", f"{theirs}.conv.{number - 1}")
    yield from head(network, "out")


def layer(ours: str, theirs: str) -> Names:
    """Convolution and norm in one container, the neuron beside it."""
    yield f"{ours}.conv", f"{theirs}.0.0"
    yield f"{ours}.norm", f"{theirs}.0.1"
    yield f"{ours}.neuron", f"{theirs}.1"


def head(network: SpikingNetwork, theirs: str) -> Names:
    """The linear layers, by their number."""
    for index in range(len(network.head)):
        yield f"head.{index}", theirs.format(index)


RULES: dict[str, Callable[[SpikingNetwork], Names]] = {
    "resnet19": residual,
    "resnet18": residual,
    "resnet34": residual,
    "resnet18-ms": residual,
    "resnet34-ms": residual,
    "cifarnet": plain,
    "widenet7b": wide,
}


def official(model: str) -> Dialect | None:
    """The authors' names for that network of ours, None for one that they do not have."""
    if model not in RULES:
        return None
    return Dialect("official", lambda network: dict(RULES[model](network)), PARAMETERS, "Vth")
