"""A small plain network for small images: the digits that come with scikit-learn, MNIST, Fashion-MNIST."""

from torch import Tensor, nn

from glifcli.models.network import NeuronMaker, SpikingNetwork, Stem, fire, initialise, over_time, scaled
from glifcli.models.tdbn import TdBN


class Layer(nn.Module):
    """conv-tdBN-neuron. Spikes [T, B, C, H, W] in and out."""

    def __init__(self, in_channels: int, channels: int, stride: int, make_neuron: NeuronMaker) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm = TdBN(channels)
        self.neuron = make_neuron(channels)

    def forward(self, x: Tensor) -> Tensor:
        return fire(self.neuron, (self.norm, over_time(self.conv, x)))


def smallnet(in_channels: int, classes: int, time_steps: int, width: float, make_neuron: NeuronMaker) -> SpikingNetwork:
    """Three spiking layers of 32, 64 and 64 channels, the later two at half the resolution of the one before."""
    first, second = scaled(32, width), scaled(64, width)
    stem = Stem(in_channels, first, time_steps, make_neuron)
    layers = nn.Sequential(Layer(first, second, 2, make_neuron), Layer(second, second, 2, make_neuron))
    network = SpikingNetwork(stem, layers, second, 0, classes)
    initialise(network)
    return network
