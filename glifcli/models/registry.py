"""Networks by name."""

import dataclasses
from collections.abc import Callable

from glifcli.errors import ModelError, nearest
from glifcli.models.network import NeuronMaker, SpikingNetwork
from glifcli.models.resnet import resnet18, resnet19
from glifcli.models.smallnet import smallnet
from glifcli.neurons.base import Neuron
from glifcli.neurons.config import NeuronConfig
from glifcli.neurons.registry import build

# Each listed in `names.py` too.
MODELS: dict[str, Callable[[int, int, int, float, NeuronMaker], SpikingNetwork]] = {
    "resnet19": resnet19,
    "resnet18": resnet18,
    "smallnet": smallnet,
}


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """All that it takes to build a network again."""

    name: str
    classes: int
    time_steps: int
    in_channels: int = 3
    width: float = 1.0
    neuron: NeuronConfig = dataclasses.field(default_factory=NeuronConfig)


def from_config(config: ModelConfig, backend: str = "auto") -> SpikingNetwork:
    """The network of that configuration, freshly initialised from torch's generator.

    Raises ModelError for an unknown name or a size below 1.
    """
    if config.name not in MODELS:
        raise ModelError(f"no model `{config.name}`", nearest(config.name, MODELS))
    for field in ("classes", "time_steps", "in_channels"):
        if getattr(config, field) < 1:
            raise ModelError(f"`{field}` is {getattr(config, field)}", f"give `{field}` a value of 1 or more")
    if not 0 < config.width <= 8:
        raise ModelError(f"`width` is {config.width}", "give `width` a value above 0, up to 8")

    def make_neuron(channels: int) -> Neuron:
        return build(config.neuron, channels, config.time_steps, backend)

    make = MODELS[config.name]
    return make(config.in_channels, config.classes, config.time_steps, config.width, make_neuron)


def create_model(
    name: str,
    *,
    classes: int = 10,
    time_steps: int = 4,
    neuron: str | NeuronConfig = "glif",
    width: float = 1.0,
    in_channels: int = 3,
    backend: str = "auto",
) -> SpikingNetwork:
    """A network of the registry, freshly initialised: images [B, C, H, W] in, logits [B, classes] out.

    neuron: a name, or a NeuronConfig for its settings. width: multiplies the numbers of channels.
    """
    config = NeuronConfig(name=neuron) if isinstance(neuron, str) else neuron
    return from_config(ModelConfig(name, classes, time_steps, in_channels, width, config), backend)
