"""CIFARNet, a plain network with large layers (arXiv 1809.05793, in the version of arXiv 2210.13768)."""

from torch import nn

from glifcli.models.blocks import Layer, Pool
from glifcli.models.network import Design, SpikingNetwork, Stem, initialise, linear_head

# Numbers of channels, None for a pooling layer.
LAYERS = (128, 256, None, 512, None, 1024, 512)
HIDDEN = (1024, 512)


def cifarnet(design: Design) -> SpikingNetwork:
    """Five spiking layers of 128 to 1024 channels and three linear ones on every position of the last."""
    channels = design.channels(128)
    stem = Stem(design.in_channels, channels, design)
    layers: list[nn.Module] = []
    height, width = design.image_size
    for base in LAYERS[1:]:
        if base is None:
            layers.append(Pool())
            height, width = height // 2, width // 2
        else:
            layers.append(Layer(channels, design.channels(base), design))
            channels = design.channels(base)
    hidden = [design.channels(base) for base in HIDDEN]
    head = linear_head([channels * height * width, *hidden, design.classes])
    network = SpikingNetwork(stem, nn.Sequential(*layers), head, flat=True)
    initialise(network)
    return network
