"""The blocks that networks are made of. All take and give [T, B, C, H, W]."""

from torch import Tensor, nn

from glifcli.models.network import Design, fire, over_time
from glifcli.models.tdbn import BRANCH, TdBN


class Layer(nn.Module):
    """conv-norm-neuron. Spikes out."""

    def __init__(
        self, in_channels: int, channels: int, design: Design, *, kernel: int = 3, stride: int = 1, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = TdBN(channels, scale)
        self.neuron = design.make_neuron(channels)

    def forward(self, x: Tensor) -> Tensor:
        return fire(self.neuron, (self.norm, over_time(self.conv, x)))


class Pool(nn.Module):
    """The mean of each 2x2 square."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return over_time(self.pool, x)


class Shortcut(nn.Module):
    """The way past a block: tdBN, behind a 1x1 convolution where the shape changes."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        same = in_channels == channels and stride == 1
        self.conv = nn.Identity() if same else nn.Conv2d(in_channels, channels, 1, stride, bias=False)
        self.norm = TdBN(channels, BRANCH)


class Block(nn.Module):
    """conv-tdBN-neuron-conv-tdBN, plus the shortcut, then a neuron. Spikes in and out."""

    def __init__(self, in_channels: int, channels: int, stride: int, design: Design) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm1 = TdBN(channels)
        self.neuron1 = design.make_neuron(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = TdBN(channels, BRANCH)
        self.shortcut = Shortcut(in_channels, channels, stride)
        self.neuron2 = design.make_neuron(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = fire(self.neuron1, (self.norm1, over_time(self.conv1, x)))
        passed = over_time(self.shortcut.conv, x)
        return fire(self.neuron2, (self.norm2, over_time(self.conv2, inner)), (self.shortcut.norm, passed))


class MembraneBlock(nn.Module):
    """neuron-conv-tdBN-neuron-conv-tdBN, plus the shortcut (MS-ResNet, arXiv 2112.08954).

    Membrane potentials in and out: what passes from block to block is the residual sum, never spikes.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, design: Design) -> None:
        super().__init__()
        self.neuron1 = design.make_neuron(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm1 = TdBN(channels)
        self.neuron2 = design.make_neuron(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = TdBN(channels, BRANCH)
        self.shortcut = Shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        inner = fire(self.neuron2, (self.norm1, over_time(self.conv1, self.neuron1(x))))
        passed = over_time(self.shortcut.norm, over_time(self.shortcut.conv, x))
        return over_time(self.norm2, over_time(self.conv2, inner)) + passed


class SpikeElementWiseBlock(nn.Module):
    """Two layers whose spikes are added to the input (SEW block with ADD, arXiv 2102.04159).

    Whole numbers of spikes in and out; the norms are ordinary batch norm where `scale` says so.
    """

    def __init__(self, channels: int, design: Design, *, scale: float = 1.0) -> None:
        super().__init__()
        self.layer1 = Layer(channels, channels, design, scale=scale)
        self.layer2 = Layer(channels, channels, design, scale=scale)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer2(self.layer1(x)) + x
