"""Spiking ResNet-19 and ResNet-18 for images of CIFAR's size (arXiv 2210.13768, table of architectures)."""

from torch import Tensor, nn

from glifcli.models.network import NeuronMaker, SpikingNetwork, Stem, fire, initialise, over_time, scaled
from glifcli.models.tdbn import BRANCH, TdBN

# (blocks, channels, stride of the first block) of each stage.
Stages = tuple[tuple[int, int, int], ...]
RESNET19: Stages = ((3, 128, 1), (3, 256, 2), (2, 512, 2))
RESNET18: Stages = ((2, 64, 1), (2, 128, 1), (2, 256, 2), (2, 512, 2))


class Shortcut(nn.Module):
    """The way past a block: tdBN, behind a 1x1 convolution where the shape changes."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        same = in_channels == channels and stride == 1
        self.conv = nn.Identity() if same else nn.Conv2d(in_channels, channels, 1, stride, bias=False)
        self.norm = TdBN(channels, BRANCH)


class Block(nn.Module):
    """conv-tdBN-neuron-conv-tdBN, plus the shortcut, then a neuron. Spikes [T, B, C, H, W] in and out."""

    def __init__(self, in_channels: int, channels: int, stride: int, make_neuron: NeuronMaker) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm1 = TdBN(channels)
        self.neuron1 = make_neuron(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = TdBN(channels, BRANCH)
        self.shortcut = Shortcut(in_channels, channels, stride)
        self.neuron2 = make_neuron(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = fire(self.neuron1, (self.norm1, over_time(self.conv1, x)))
        passed = over_time(self.shortcut.conv, x)
        return fire(self.neuron2, (self.norm2, over_time(self.conv2, inner)), (self.shortcut.norm, passed))


def resnet(
    stages: Stages, in_channels: int, classes: int, time_steps: int, width: float, make_neuron: NeuronMaker
) -> SpikingNetwork:
    """A spiking ResNet; as in the release, a network for 10 classes has a second linear layer of half the width."""
    channels = scaled(stages[0][1], width)
    stem = Stem(in_channels, channels, time_steps, make_neuron)
    blocks = []
    for count, base, first_stride in stages:
        for index in range(count):
            stride = first_stride if index == 0 else 1
            blocks.append(Block(channels, scaled(base, width), stride, make_neuron))
            channels = scaled(base, width)
    hidden = channels // 2 if classes == 10 else 0
    network = SpikingNetwork(stem, nn.Sequential(*blocks), channels, hidden, classes)
    initialise(network)
    return network


def resnet19(in_channels: int, classes: int, time_steps: int, width: float, make_neuron: NeuronMaker) -> SpikingNetwork:
    """ResNet-19: 3, 3 and 2 blocks of 128, 256 and 512 channels."""
    return resnet(RESNET19, in_channels, classes, time_steps, width, make_neuron)


def resnet18(in_channels: int, classes: int, time_steps: int, width: float, make_neuron: NeuronMaker) -> SpikingNetwork:
    """ResNet-18: four stages of 2 blocks, of 64 to 512 channels."""
    return resnet(RESNET18, in_channels, classes, time_steps, width, make_neuron)
