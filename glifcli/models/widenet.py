"""7B-wideNet, for event frames: seven SEW blocks with ordinary batch norm (arXiv 2102.04159, as in 2210.13768)."""

from torch import nn

from glifcli.models.blocks import Layer, Pool, SpikeElementWiseBlock
from glifcli.models.network import Design, SpikingNetwork, Stem, initialise, linear_head
from glifcli.models.tdbn import PLAIN

# (channels, whether a pooling layer follows) of each block.
BLOCKS = ((64, False), (64, False), (64, False), (64, True), (128, True), (128, True), (128, True))


def widenet7b(design: Design) -> SpikingNetwork:
    """Four blocks of 64 channels and three of 128, a linear layer with bias on every position of the last."""
    before = BLOCKS[0][0]
    channels = design.channels(before)
    stem = Stem(design.in_channels, channels, design, kernel=1, padding=0, scale=PLAIN)
    layers: list[nn.Module] = []
    height, width = design.image_size
    for base, pooled in BLOCKS:
        if base != before:
            layers.append(Layer(channels, design.channels(base), design, kernel=1, scale=PLAIN))
            before, channels = base, design.channels(base)
        layers.append(SpikeElementWiseBlock(channels, design, scale=PLAIN))
        if pooled:
            layers.append(Pool())
            height, width = height // 2, width // 2
    head = linear_head([channels * height * width, design.classes], bias=True)
    network = SpikingNetwork(stem, nn.Sequential(*layers), head, flat=True)
    initialise(network)
    return network
