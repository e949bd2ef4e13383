"""Spiking ResNet-18, -19 and -34 for images of CIFAR's and of ImageNet's size (arXiv 2210.13768, architectures)."""

from torch import nn

from glifcli.models.blocks import Block, MembraneBlock
from glifcli.models.network import Design, SpikingNetwork, Stem, initialise, linear_head

# (blocks, channels, stride of the first block) of each stage.
Stages = tuple[tuple[int, int, int], ...]
RESNET19: Stages = ((3, 128, 1), (3, 256, 2), (2, 512, 2))
RESNET18: Stages = ((2, 64, 1), (2, 128, 1), (2, 256, 2), (2, 512, 2))
RESNET18_IMAGENET: Stages = ((2, 64, 2), (2, 128, 2), (2, 256, 2), (2, 512, 2))
RESNET34_IMAGENET: Stages = ((3, 64, 2), (4, 128, 2), (6, 256, 2), (3, 512, 2))


def resnet(design: Design, stages: Stages, block: type[Block | MembraneBlock], *, large: bool) -> SpikingNetwork:
    """A spiking ResNet; `large` images pass a 7x7 convolution of stride 2 first, others a 3x3 one."""
    channels = design.channels(stages[0][1])
    kernel, stride = (7, 2) if large else (3, 1)
    # Padding is 1 for both: the release has it so.
    stem = Stem(design.in_channels, channels, design, kernel=kernel, stride=stride)
    blocks = []
    for count, base, first_stride in stages:
        for index in range(count):
            wider = design.channels(base)
            blocks.append(block(channels, wider, first_stride if index == 0 else 1, design))
            channels = wider
    hidden = released_hidden(channels, design.classes) if design.hidden is None else design.hidden
    head = linear_head([channels, hidden, design.classes] if hidden else [channels, design.classes])
    network = SpikingNetwork(stem, nn.Sequential(*blocks), head)
    initialise(network)
    return network


def released_hidden(channels: int, classes: int) -> int:
    """Size of the linear layer before the last in the release: half the width for 10 classes, none else (0)."""
    return channels // 2 if classes == 10 else 0


def resnet19(design: Design) -> SpikingNetwork:
    """ResNet-19 for CIFAR: 3, 3 and 2 blocks of 128, 256 and 512 channels."""
    return resnet(design, RESNET19, Block, large=False)


def resnet18(design: Design) -> SpikingNetwork:
    """ResNet-18 for CIFAR: four stages of 2 blocks, of 64 to 512 channels."""
    return resnet(design, RESNET18, Block, large=False)


def resnet34(design: Design) -> SpikingNetwork:
    """ResNet-34 for ImageNet: 3, 4, 6 and 3 blocks of 64 to 512 channels."""
    return resnet(design, RESNET34_IMAGENET, Block, large=True)


def resnet18_ms(design: Design) -> SpikingNetwork:
    """MS-ResNet-18 for ImageNet: four stages of 2 blocks that pass membrane potentials on."""
    return resnet(design, RESNET18_IMAGENET, MembraneBlock, large=True)


def resnet34_ms(design: Design) -> SpikingNetwork:
    """MS-ResNet-34 for ImageNet: 3, 4, 6 and 3 blocks that pass membrane potentials on."""
    return resnet(design, RESNET34_IMAGENET, MembraneBlock, large=True)
