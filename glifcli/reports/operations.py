"""What a forward pass costs: multiply-accumulates, accumulates and energy, beside an ordinary network.

A MAC is a multiply-accumulate, an AC an accumulate. What is counted, and what is not, is in ASSUMPTIONS.
"""

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from glifcli.models.network import SpikingNetwork
from glifcli.ops import Constants
from glifcli.reports.firing import LayerSpikes

# Energy of one operation in pJ, 32-bit floating point at 45 nm: a multiplication is 3.7, an addition 0.9
# (Horowitz, "Computing's energy problem", ISSCC 2014, figure 1.1.9).
MAC_PJ = 4.6
AC_PJ = 0.9

ASSUMPTIONS = (
    f"Energy is that of 32-bit floating-point arithmetic at 45 nm: {MAC_PJ} pJ a multiply-accumulate (MAC), "
    f"{AC_PJ} pJ an accumulate (AC) (Horowitz, ISSCC 2014); moving data is not counted.",
    "A layer whose input was only 0 and 1 in every batch costs accumulates: its dense MACs times its mean "
    "input. Any other input (the image, the mean over space before the head) costs dense MACs. Dense MACs "
    "include padding.",
    "Each layer counts as often as it is applied: the stem's convolution once for a still image, everything "
    "else once per time step.",
    "Synaptic operations are exact: each input spike times the synapses that carry it, padding excluded, "
    "plus the dense MACs of layers whose input is not binary.",
    "A neuron costs, per time step, a MAC each for decay and gain (an AC where it is 1 in the whole layer), "
    "an AC for the leak unless it is 0, and an AC for the threshold; per spike, a MAC for a reset gate that "
    "is neither 0 nor 1 in the whole layer, and an AC for what the reset subtracts unless it is 0.",
    "tdBN is folded into the convolution before it and is free; so are its bias, the tdBN on an identity "
    "shortcut, the residual sum and the mean over space.",
    "The ordinary network (ANN) has the same layers, each applied once, with dense MACs and a free ReLU.",
)


@dataclass(frozen=True)
class LayerOperations:
    """Cost of one convolution or linear layer per image; input_rate: share of its input that is not 0."""

    name: str
    binary_input: bool
    input_rate: float
    macs: float
    acs: float
    energy_uj: float


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


@dataclass
class _Synapses:
    """Running totals of one layer, those that need the device still on it."""

    rows: int
    elements: int
    macs: int
    active: Tensor
    events: Tensor
    binary: Tensor


class OperationCounter:
    """Counts what the convolutions and linear layers do while the context is open."""

    def __init__(self, model: SpikingNetwork) -> None:
        self._model = model
        self._handles: list[RemovableHandle] = []
        self._layers: dict[str, _Synapses] = {}
        self._fan_outs: dict[tuple[str, torch.Size], Tensor] = {}

    def __enter__(self) -> Self:
        for name, module in self._model.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                self._handles.append(module.register_forward_hook(self._hook(name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def operations(self, spikes: tuple[LayerSpikes, ...]) -> Operations:
        """Cost per image of all passes so far; `spikes` as a FiringCounter saw them in the same passes."""
        images = spikes[0].images
        layers = tuple(_layer(name, layer, images) for name, layer in self._layers.items())
        neuron_macs, neuron_acs = self._neurons(spikes)
        neuron_energy = microjoules(neuron_macs, neuron_acs)
        ann_macs = sum(layer.macs / layer.rows for layer in self._layers.values())
        events = (layer.events.item() if layer.binary else layer.macs for layer in self._layers.values())
        return Operations(
            macs=sum(layer.macs for layer in layers),
            acs=sum(layer.acs for layer in layers),
            neuron_ops=neuron_macs + neuron_acs,
            synaptic_operations=sum(events) / images,
            energy_uj=sum(layer.energy_uj for layer in layers) + neuron_energy,
            neuron_energy_uj=neuron_energy,
            ann_macs=ann_macs,
            ann_energy_uj=microjoules(ann_macs, 0),
            layers=layers,
        )

    def _neurons(self, spikes: tuple[LayerSpikes, ...]) -> tuple[float, float]:
        neurons = dict(self._model.neurons())
        macs = acs = 0.0
        for layer in spikes:
            with torch.no_grad():
                constants = neurons[layer.name].constants()
            layer_macs, layer_acs = neuron_operations(constants, layer.counts.numel(), layer.spikes / layer.images)
            macs, acs = macs + layer_macs, acs + layer_acs
        return macs, acs

    def _hook(self, name: str) -> Any:
        def count(module: nn.Conv2d | nn.Linear, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            x = inputs[0].detach()
            nonzero = x != 0
            binary = (x == nonzero).all()
            if isinstance(module, nn.Conv2d):
                rows = x.shape[0]
                by_position = nonzero.sum((0, 1))
                active = by_position.sum()
                events = (by_position * self._fan_out(name, module, x, output)).sum()
            else:
                rows = x.numel() // module.in_features
                active = nonzero.sum()
                # A silent network's mean over space is 0 everywhere, which is no spike.
                binary = binary & (active > 0)
                events = active * module.out_features
            macs = output.numel() * module.weight[0].numel()
            new = _Synapses(rows, x.numel(), macs, active, events, binary)
            old = self._layers.get(name)
            self._layers[name] = new if old is None else _add(old, new)

        return count

    def _fan_out(self, name: str, conv: nn.Conv2d, x: Tensor, output: Tensor) -> Tensor:
        key = name, x.shape[-2:]
        if key not in self._fan_outs:
            self._fan_outs[key] = fan_out(conv, x.shape[-2:], output.shape[-2:]).to(x.device)
        return self._fan_outs[key]


def fan_out(conv: nn.Conv2d, size: torch.Size, output_size: torch.Size) -> Tensor:
    """Number of outputs that each input position feeds, [H, W], in any one channel; padding is zeros."""
    reach = [_reach(conv, dim, size[dim], output_size[dim]) for dim in (0, 1)]
    return torch.outer(*reach) * (conv.out_channels // conv.groups)


def _reach(conv: nn.Conv2d, dim: int, size: int, output_size: int) -> Tensor:
    """How many kernel windows each input row (dim 0) or column (dim 1) lies in."""
    kernel, stride, dilation = conv.kernel_size[dim], conv.stride[dim], conv.dilation[dim]
    if isinstance(conv.padding, str):
        padding = dilation * (kernel - 1) // 2 if conv.padding == "same" else 0
    else:
        padding = int(conv.padding[dim])
    taps = torch.arange(output_size)[:, None] * stride - padding + torch.arange(kernel) * dilation
    return torch.bincount(taps[(taps >= 0) & (taps < size)], minlength=size)


def neuron_operations(constants: Constants, updates: int, spikes: float) -> tuple[float, float]:
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


def _add(a: _Synapses, b: _Synapses) -> _Synapses:
    return _Synapses(
        a.rows + b.rows,
        a.elements + b.elements,
        a.macs + b.macs,
        a.active + b.active,
        a.events + b.events,
        a.binary & b.binary,
    )


def _layer(name: str, layer: _Synapses, images: int) -> LayerOperations:
    binary, rate = bool(layer.binary), layer.active.item() / layer.elements
    dense = layer.macs / images
    macs, acs = (0.0, dense * rate) if binary else (dense, 0.0)
    return LayerOperations(name, binary, rate, macs, acs, microjoules(macs, acs))
