"""Checkpoints as the authors' code saves them, rebuilt from `tests/reference`, and small ones made in their image."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from glifcli.convert.official import official
from glifcli.models.network import SpikingNetwork

REFERENCE = Path(__file__).parents[1] / "reference"
sys.path.insert(0, str(REFERENCE))
from fill import fill  # noqa: E402

CHECKPOINTS = json.loads((REFERENCE / "official_checkpoints.json").read_text())
# (network of ours, neuron, share, time steps, classes) of each.
CASES = {
    "ResNet_19_cifar_CW/T2/classes10": ("resnet19", "glif", "channel", 2, 10),
    "ResNet_19_cifar/T2/classes10": ("resnet19", "glif", "layer", 2, 10),
    "ResNet_19_stand_CW_softsimple/T2/classes100": ("resnet19", "glif-f", "channel", 2, 100),
    "ResNet_18_stand_CW/T4/classes10": ("resnet18", "glif", "channel", 4, 10),
    "CIFARNet/T2/classes10": ("cifarnet", "glif", "channel", 2, 10),
    "ResNet_18_stand_CW_MS/T4/classes1000": ("resnet18-ms", "glif", "channel", 4, 1000),
    "ResNet_34_stand_CW/T2/classes1000": ("resnet34", "glif", "channel", 2, 1000),
    "SEWResNet_GLIF_dsr/T16/classes10": ("widenet7b", "glif", "channel", 16, 10),
}


def rebuilt(case: str) -> dict[str, Tensor]:
    """The state dict of a published network, its values from `fill`."""
    shapes = {key: tuple(shape) for key, shape in CHECKPOINTS[case]["keys"].items()}
    return {key: torch.from_numpy(np.asarray(fill(key, shape, set(shapes)))) for key, shape in shapes.items()}


def input_of(case: str) -> Tensor:
    """Images, or event frames, that the published logits are of, in float64."""
    shape = CHECKPOINTS[case]["input"]["shape"]
    random = np.random.Generator(np.random.PCG64(0))
    values = random.poisson(0.3, shape) if len(shape) == 5 else random.standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32)).double()


def as_official(network: SpikingNetwork, model: str) -> dict[str, Tensor]:
    """The state dict of a network of ours as the authors' code would save it."""
    dialect = official(model)
    assert dialect is not None
    state = network.state_dict()
    found = {theirs: state[ours] for ours, theirs in dialect.keys(network).items()}
    return found | {key: torch.tensor(0.5) for key in dialect.norm_thresholds(network).values()}
