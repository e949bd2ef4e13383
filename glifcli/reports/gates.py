"""What the neurons learned: gates and membrane values of each layer, their drift and nearest behaviour."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from glifcli.errors import GlifError
from glifcli.models.network import SpikingNetwork

Array = npt.NDArray[np.float64]

VALUES = ("alpha", "beta", "gamma", "tau", "threshold", "leak", "reset")
BEHAVIOURS = ("leak", "conductance", "reset")
BINS = 20


@dataclass(frozen=True, eq=False)
class LayerGates:
    """One layer of neurons. All numbers are after the sigmoid.

    values: by name what the neuron has of VALUES and conductance, each [C] or [T, C]. decay: the constant of
    the operator, [C] or [T, C]. initial: what each value began at. nearest: named behaviour by BEHAVIOURS.
    """

    name: str
    channels: int
    values: Mapping[str, Array]
    decay: Array
    initial: Mapping[str, float]
    nearest: Mapping[str, str]

    def drift(self) -> dict[str, float]:
        """Mean of each value less what it began at."""
        return {name: float(self.values[name].mean()) - start for name, start in self.initial.items()}

    def json(self) -> dict[str, Any]:
        """The layer as `glif inspect-gates --json` prints it; null for what its neuron does not have."""
        values = {name: statistics(self.values[name]) if name in self.values else None for name in VALUES}
        steps = self.values.get("conductance")
        return {
            "name": self.name,
            "channels": self.channels,
            **values,
            "conductance": None if steps is None else [statistics(step) for step in steps],
            "decay": statistics(self.decay),
            "nearest": dict(self.nearest),
            "drift": self.drift(),
        }


@dataclass(frozen=True)
class LayerDifference:
    """Mean of each value (and of decay) in the second network less that in the first, where both have it.

    nearest: behaviours that differ, as (first, second).
    """

    name: str
    means: Mapping[str, float]
    nearest: Mapping[str, tuple[str, str]]


def gate_report(model: SpikingNetwork) -> tuple[LayerGates, ...]:
    """The layers of neurons from input to output. Raises GlifError for a value that is not finite."""
    layers = []
    for name, neuron in model.neurons():
        with torch.no_grad():
            values = {key: _array(value) for key, value in neuron.values().items()}
            decay = _array(neuron.constants().decay)
        for key, value in {**values, "decay": decay}.items():
            if not np.isfinite(value).all():
                raise GlifError(
                    f"`{key}` of layer `{name}` is not finite",
                    "the training diverged: train again at a lower `optim.lr`",
                )
        initial = neuron.initial_values()
        layers.append(LayerGates(name, neuron.channels, values, decay, initial, neuron.behaviour()))
    return tuple(layers)


def statistics(values: Array) -> dict[str, Any]:
    """Mean, standard deviation, extremes and a histogram over 0 to 1, where every sigmoid lies."""
    counts, edges = np.histogram(np.clip(values, 0, 1), bins=BINS, range=(0, 1))
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
        "histogram": {"edges": [round(float(edge), 6) for edge in edges], "counts": counts.tolist()},
    }


def compare(a: Sequence[LayerGates], b: Sequence[LayerGates]) -> tuple[LayerDifference, ...]:
    """How `b` differs from `a`, layer by layer. Raises GlifError where their layers do not match."""
    if len(a) != len(b):
        raise GlifError(
            f"the first network has {len(a)} layers of neurons, the second {len(b)}",
            "compare two checkpoints of one architecture",
        )
    differences = []
    for first, second in zip(a, b, strict=True):
        if (first.name, first.channels) != (second.name, second.channels):
            raise GlifError(
                f"layer `{first.name}` with {first.channels} channels in the first network is "
                f"`{second.name}` with {second.channels} in the second",
                "compare two checkpoints of one architecture",
            )
        mine, other = _means(first), _means(second)
        means = {key: other[key] - mine[key] for key in mine if key in other}
        pairs = {key: (first.nearest[key], second.nearest[key]) for key in BEHAVIOURS}
        changed = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
        differences.append(LayerDifference(first.name, means, changed))
    return tuple(differences)


def csv_text(layers: Sequence[LayerGates]) -> str:
    """A row for each value of each layer, and of its conductance for each `step`, counted from 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["layer", "channels", "value", "step", "mean", "std", "min", "max", "initial", "nearest"])
    for layer in layers:
        gate_of = {"alpha": "leak", "beta": "conductance", "gamma": "reset"}
        rows: list[tuple[str, int | str, Array]] = [
            (name, "", layer.values[name]) for name in VALUES if name in layer.values
        ]
        rows += [("conductance", t, step) for t, step in enumerate(layer.values.get("conductance", ()), 1)]
        rows.append(("decay", "", layer.decay))
        for name, step, value in rows:
            s = statistics(value)
            numbers = [f"{s[key]:.6g}" for key in ("mean", "std", "min", "max")]
            initial = f"{layer.initial[name]:.6g}" if name in layer.initial else ""
            nearest = layer.nearest[gate_of[name]] if name in gate_of else ""
            writer.writerow([layer.name, layer.channels, name, step, *numbers, initial, nearest])
    return text.getvalue()


def _means(layer: LayerGates) -> dict[str, float]:
    return {name: float(value.mean()) for name, value in {**layer.values, "decay": layer.decay}.items()}


def _array(value: torch.Tensor) -> Array:
    return np.asarray(value.detach().cpu().double().numpy(), dtype=np.float64)
