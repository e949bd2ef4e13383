"""A small plain network for small images: the digits that come with scikit-learn, MNIST, Fashion-MNIST."""

from torch import nn

from glifcli.models.blocks import Layer
from glifcli.models.network import Design, SpikingNetwork, Stem, initialise, linear_head


def smallnet(design: Design) -> SpikingNetwork:
    """Three spiking layers of 32, 64 and 64 channels, the later two at half the resolution of the one before."""
    first, second = design.channels(32), design.channels(64)
    stem = Stem(design.in_channels, first, design)
    layers = nn.Sequential(Layer(first, second, design, stride=2), Layer(second, second, design, stride=2))
    network = SpikingNetwork(stem, layers, linear_head([second, design.classes]))
    initialise(network)
    return network
