"""What a forward pass costs: multiply-accumulates, accumulates and energy, beside an ordinary network.

A MAC is a multiply-accumulate, an AC an accumulate. What is counted, and what is not, is in ASSUMPTIONS.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glifcli.models.network import SpikingNetwork
from glifcli.ops import Constants
from glifcli.reports.firing import LayerSpikes
from glifcli.reports.hooks import Hook, Watching
from glifcli.reports.synapses import LayerWork, Tally, synapse_hooks

# Energy of one operation in pJ, 32-bit floating point at 45 nm: a multiplication is 3.7, an addition 0.9
# (Horowitz, "Computing's energy problem", ISSCC 2014, figure 1.1.9).
MAC_PJ = 4.6
AC_PJ = 0.9

ASSUMPTIONS = (
    f"Energy is that of 32-bit floating-point arithmetic at 45 nm: {MAC_PJ} pJ a multiply-accumulate (MAC), "
    f"{AC_PJ} pJ an accumulate (AC) (Horowitz, ISSCC 2014); moving data is not counted.",
    "A layer whose input was whole numbers from 0 in every batch costs accumulates: its dense MACs times its mean "
    "input. So a spike is one accumulate a synapse, and a sum of k spikes or a count of k events is k. Any other "
    "input (the image, an average after pooling, the mean over space before the head, a residual stream) costs "
    "dense MACs. Dense MACs include padding.",
    "Each layer counts as often as it is applied: the stem's convolution once for a still image, everything "
    "else once per time step.",
    "Synaptic operations are exact: each input spike times the synapses that carry it, padding excluded, "
    "plus the dense MACs of layers whose input is not whole numbers.",
    "A neuron costs, per time step, a MAC each for decay and gain (an AC where it is 1 in the whole layer), "
    "an AC for the leak unless it is 0, and an AC for the threshold; per spike, a MAC for a reset gate that "
    "is neither 0 nor 1 in the whole layer, and an AC for what the reset subtracts unless it is 0.",
    "tdBN is folded into the convolution before it and is free; so are its bias, the tdBN on an identity "
    "shortcut, the residual sum and the mean over space.",
    "The ordinary network (ANN) has the same layers, each applied once, with dense MACs and a free ReLU.",
)


@dataclass(frozen=True)
class LayerOperations:
    """Cost of one convolution or linear layer per image; input_rate: share of its input that is not 0.

    binary_input: its input was only 0 and 1; whole_input: whole numbers from 0, whose mean is input_mean, else None.
    """

    name: str
    binary_input: bool
    input_rate: float
    macs: float
    acs: float
    energy_uj: float
    whole_input: bool
    input_mean: float | None


@dataclass(frozen=True)
class Operations:
    """Costs per image; macs and acs are the synapses', energy_uj is theirs and the neurons' together."""

    macs: float
    acs: float
    neuron_ops: float
    synaptic_operations: float
    energy_uj: float
    neuron_energy_uj: float
    ann_macs: float
    ann_energy_uj: float
    layers: tuple[LayerOperations, ...]


@dataclass(frozen=True)
class NeuronWork:
    """What a layer of neurons did over all images: membrane updates (neurons times time steps) and spikes."""

    constants: Constants
    updates: int
    spikes: int


class OperationCounter(Watching):
    """Counts what the convolutions and linear layers do while the context is open."""

    def __init__(self, model: SpikingNetwork) -> None:
        super().__init__()
        self._model = model
        self._tally = Tally()

    def hooks(self) -> Iterator[tuple[nn.Module, Hook]]:
        return synapse_hooks(self._model, self._tally.add)

    def operations(self, spikes: tuple[LayerSpikes, ...]) -> Operations:
        """Cost per image of all passes so far; `spikes` as a FiringCounter saw them in the same passes."""
        images = spikes[0].images
        neurons = dict(self._model.neurons())
        with torch.no_grad():
            works = [
                NeuronWork(neurons[layer.name].constants(), images * layer.counts.numel(), layer.spikes)
                for layer in spikes
            ]
        return operations_per_image(self._tally.layers(), works, images)


def operations_per_image(layers: Mapping[str, LayerWork], neurons: Iterable[NeuronWork], images: int) -> Operations:
    """Cost per image of what the layers and the neurons did on that many."""
    costs = tuple(_layer(name, layer, images) for name, layer in layers.items())
    neuron_macs = neuron_acs = 0.0
    for neuron in neurons:
        macs, acs = neuron_operations(neuron.constants, neuron.updates / images, neuron.spikes / images)
        neuron_macs, neuron_acs = neuron_macs + macs, neuron_acs + acs
    neuron_energy = microjoules(neuron_macs, neuron_acs)
    ann_macs = sum(layer.macs / layer.rows for layer in layers.values())
    return Operations(
        macs=sum(layer.macs for layer in costs),
        acs=sum(layer.acs for layer in costs),
        neuron_ops=neuron_macs + neuron_acs,
        synaptic_operations=sum(layer.events if layer.whole else layer.macs for layer in layers.values()) / images,
        energy_uj=sum(layer.energy_uj for layer in costs) + neuron_energy,
        neuron_energy_uj=neuron_energy,
        ann_macs=ann_macs,
        ann_energy_uj=microjoules(ann_macs, 0),
        layers=costs,
    )


def neuron_operations(constants: Constants, updates: float, spikes: float) -> tuple[float, float]:
    """(MACs, ACs) of a layer for that many membrane updates (neurons times time steps) and spikes."""

    def is_all(value: Tensor, number: float) -> bool:
        return bool((value == number).all())

    plain = [is_all(constants.decay, 1), is_all(constants.gain, 1)]
    step_macs = plain.count(False)
    step_acs = plain.count(True) + (not is_all(constants.leak, 0)) + 1
    spike_macs = not (is_all(constants.reset_gate, 0) or is_all(constants.reset_gate, 1))
    spike_acs = not is_all(constants.reset_sub, 0)
    return updates * step_macs + spikes * spike_macs, updates * step_acs + spikes * spike_acs


def microjoules(macs: float, acs: float) -> float:
    """Energy of that many operations in microjoules."""
    return (MAC_PJ * macs + AC_PJ * acs) * 1e-6


def _layer(name: str, layer: LayerWork, images: int) -> LayerOperations:
    dense = layer.macs / images
    mean = layer.spikes / layer.elements if layer.whole else None
    macs, acs = (dense, 0.0) if mean is None else (0.0, dense * mean)
    return LayerOperations(
        name, layer.binary, layer.active / layer.elements, macs, acs, microjoules(macs, acs), layer.whole, mean
    )
