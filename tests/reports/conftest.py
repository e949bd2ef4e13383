"""A network small enough to count by hand, and evaluations that several tests read."""

import pytest
import torch
from torch import Tensor, nn

from glifcli.models.blocks import Layer
from glifcli.models.network import Design, SpikingNetwork, Stem, linear_head
from glifcli.models.registry import create_model
from glifcli.neurons.lif import LIF

CPU = torch.device("cpu")


def hand_network() -> SpikingNetwork:
    """T = 2, LIF: one channel, conv 3x3 to 2 channels, conv 3x3 stride 2 to 3 channels, 5 classes.

    The stem copies the image into both channels; the layer copies channel 0, at every second row and column,
    to its own channel 0 and leaves the others at rest. A current above 0.5 makes a spike at each step.
    """
    design = Design(1, 5, 2, 1.0, (4, 4), None, lambda channels: LIF(channels, 2))
    layer = Layer(2, 3, design, stride=2)
    network = SpikingNetwork(Stem(1, 2, design), nn.Sequential(layer), linear_head([3, 5]))
    with torch.no_grad():
        for conv in (network.stem.conv, layer.conv):
            conv.weight.zero_()
        network.stem.conv.weight[:, 0, 1, 1] = 1
        layer.conv.weight[0, 0, 1, 1] = 1
        for norm in (network.stem.norm, layer.norm):
            # tdBN halves; with a weight of 2 it passes its input on.
            norm.eps = 1e-12
            norm.weight.fill_(2)
    return network


def hand_image(value: float) -> Tensor:
    """[1, 4, 4], `value` at row 0, column 0 and at row 1, column 2."""
    image = torch.zeros(1, 4, 4)
    image[0, 0, 0] = image[0, 1, 2] = value
    return image


def lively(model: SpikingNetwork) -> SpikingNetwork:
    """The model with biases that let every layer fire."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name and name.endswith("bias"):
                parameter.copy_(0.4 + 0.3 * torch.randn_like(parameter))
    return model


@pytest.fixture
def smallnet() -> SpikingNetwork:
    torch.manual_seed(0)
    return lively(create_model("smallnet", classes=10, time_steps=2, in_channels=1))


@pytest.fixture
def batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(n, 1, 8, 8, generator=generator), torch.randint(0, 10, (n,), generator=generator)) for n in (5, 3)
    ]


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
