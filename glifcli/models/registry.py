"""Networks by name."""

import dataclasses
from collections.abc import Callable

from glifcli.errors import ModelError, nearest
from glifcli.models.cifarnet import cifarnet
from glifcli.models.network import Design, SpikingNetwork
from glifcli.models.resnet import resnet18, resnet18_ms, resnet19, resnet34, resnet34_ms
from glifcli.models.smallnet import smallnet
from glifcli.models.widenet import widenet7b
from glifcli.neurons.base import Neuron
from glifcli.neurons.config import NeuronConfig
from glifcli.neurons.registry import build


@dataclasses.dataclass(frozen=True)
class Family:
    """A network and what its input is unless told otherwise.

    smallest: side of the smallest image that it takes. has_hidden: whether its head may have a hidden layer.
    """

    make: Callable[[Design], SpikingNetwork]
    in_channels: int = 3
    image_size: int = 32
    smallest: int = 1
    has_hidden: bool = True


# Each listed in `names.py` too.
MODELS: dict[str, Family] = {
    "resnet19": Family(resnet19),
    "resnet18": Family(resnet18),
    "resnet34": Family(resnet34, image_size=224),
    "resnet18-ms": Family(resnet18_ms, image_size=224),
    "resnet34-ms": Family(resnet34_ms, image_size=224),
    "cifarnet": Family(cifarnet, smallest=4, has_hidden=False),
    "widenet7b": Family(widenet7b, in_channels=2, image_size=48, smallest=16, has_hidden=False),
    "smallnet": Family(smallnet, has_hidden=False),
}


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """All that it takes to build a network again.

    in_channels, image_size (height, width): those of the family's own data where None. hidden: size of the linear
    layer before the last of a ResNet, 0 for none; as released where None.
    """

    name: str
    classes: int
    time_steps: int
    in_channels: int | None = None
    width: float = 1.0
    neuron: NeuronConfig = dataclasses.field(default_factory=NeuronConfig)
    image_size: tuple[int, int] | None = None
    hidden: int | None = None


def from_config(config: ModelConfig, backend: str = "auto") -> SpikingNetwork:
    """The network of that configuration, freshly initialised from torch's generator.

    Raises ModelError for an unknown name, a size below 1, and images too small for the network.
    """
    if config.name not in MODELS:
        raise ModelError(f"no model `{config.name}`", nearest(config.name, MODELS))
    family = MODELS[config.name]
    in_channels = family.in_channels if config.in_channels is None else config.in_channels
    image_size = (family.image_size,) * 2 if config.image_size is None else config.image_size
    sizes = {"classes": config.classes, "time_steps": config.time_steps, "in_channels": in_channels}
    for field, size in {**sizes, "image_size": min(image_size)}.items():
        if size < 1:
            raise ModelError(f"`{field}` is {size}", f"give `{field}` a value of 1 or more")
    if not 0 < config.width <= 8:
        raise ModelError(f"`width` is {config.width}", "give `width` a value above 0, up to 8")
    if config.hidden is not None and (config.hidden < 0 or not family.has_hidden):
        raise ModelError(f"`hidden` is {config.hidden} for `{config.name}`", "leave it out")
    if min(image_size) < family.smallest:
        raise ModelError(
            f"`image_size` is {min(image_size)}, too small for `{config.name}`",
            f"give images of {family.smallest}x{family.smallest} or more",
        )

    def make_neuron(channels: int) -> Neuron:
        return build(config.neuron, channels, config.time_steps, backend)

    design = Design(
        in_channels, config.classes, config.time_steps, config.width, image_size, config.hidden, make_neuron
    )
    return family.make(design)


def create_model(
    name: str,
    *,
    classes: int = 10,
    time_steps: int = 4,
    neuron: str | NeuronConfig = "glif",
    width: float = 1.0,
    in_channels: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    backend: str = "auto",
) -> SpikingNetwork:
    """A network of the registry, freshly initialised: images [B, C, H, W] in, logits [B, classes] out.

    neuron: a name, or a NeuronConfig for its settings. width: multiplies the numbers of channels. in_channels,
    image_size (a side, or height and width): as in the paper unless given; only `cifarnet` and `widenet7b` depend
    on the size.
    """
    config = NeuronConfig(name=neuron) if isinstance(neuron, str) else neuron
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    return from_config(ModelConfig(name, classes, time_steps, in_channels, width, config, size), backend)
