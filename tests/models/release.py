"""The released networks' parameter names, and ours for them."""

import json
import re
import sys
from pathlib import Path

import torch
from torch import Tensor

REFERENCE = Path(__file__).parents[1] / "reference"
sys.path.insert(0, str(REFERENCE))
from fill import fill  # noqa: E402

CHECKPOINTS = json.loads((REFERENCE / "official_checkpoints.json").read_text())
NEURON = {"Vth": "threshold", "reVth": "reset", "conduct": "conductance"}
PREFIXES = (
    (r"^conv1\.0\.0\.", "stem.conv."),
    (r"^conv1\.0\.1\.", "stem.norm."),
    (r"^conv1\.1", "stem.neuron"),
    (r"^features\.", "layers."),
    (r"\.body\.0\.0\.", ".conv1."),
    (r"\.body\.0\.1\.", ".norm1."),
    (r"\.body\.1", ".neuron1"),
    (r"\.body\.2\.0\.", ".conv2."),
    (r"\.body\.2\.1\.", ".norm2."),
    (r"\.downsample\.0\.0\.", ".shortcut.conv."),
    (r"\.downsample\.0\.1\.", ".shortcut.norm."),
    (r"\.downsample\.0\.", ".shortcut.norm."),
    (r"\.lif", ".neuron2"),
    (r"^lastave\.", "head."),
)


def our_name(name: str) -> str:
    """Our name of a module or parameter of the release."""
    for pattern, ours in PREFIXES:
        name = re.sub(pattern, ours, name)
    prefix, dot, leaf = name.rpartition(".")
    return prefix + dot + NEURON.get(leaf, leaf)


def state_dict(case: str) -> dict[str, Tensor]:
    """The checkpoint of that case by our names, its values from `fill`."""
    shapes = {key: tuple(shape) for key, shape in dict(CHECKPOINTS[case]["keys"]).items()}
    keys = set(shapes)
    state = {}
    for key, shape in shapes.items():
        prefix, _, leaf = key.rpartition(".")
        if leaf == "Vth" and f"{prefix}.running_mean" in keys:
            continue  # tdBN's own threshold, a constant of ours
        state[our_name(key)] = torch.from_numpy(fill(key, shape, keys))
    return state
