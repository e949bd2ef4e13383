"""What the synapses of a layer carry, counted by row: one image at one time step, or once for a still image."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glifcli.models.network import SpikingNetwork
from glifcli.reports.hooks import Hook


@dataclass(frozen=True)
class Applied:
    """A layer applied to one batch. elements, macs: input values and dense MACs of one row.

    counts: [5, rows] of int64: 1; the sum of the input; its values that are not 0; its sum with each value times the
    synapses that carry it; 1 where it holds anything but whole numbers from 0, which makes the second and the fourth
    meaningless. Exact up to a sum of 2^24 a row.
    """

    linear: bool
    elements: int
    macs: int
    counts: Tensor


@dataclass(frozen=True)
class LayerWork:
    """What a layer did over all images and rows that count. elements, macs: in all; the rest as in `Applied`.

    whole: its input was whole numbers from 0 in every batch, in a linear layer not 0 throughout.
    """

    elements: int
    macs: int
    rows: int
    spikes: int
    active: int
    events: int
    whole: bool

    @property
    def binary(self) -> bool:
        """Whether its input was only 0 and 1."""
        return self.whole and self.spikes == self.active


@dataclass(frozen=True)
class _Running:
    """Totals of one layer so far for each of S ways to run, still on the device: counts [5, S], whole [S]."""

    elements: int
    macs: int
    counts: Tensor
    whole: Tensor


class Tally:
    """Running totals of every layer, for one or several ways to run the same batches."""

    def __init__(self) -> None:
        self._layers: dict[str, _Running] = {}

    def add(self, name: str, applied: Applied, ran: Tensor | None = None) -> None:
        """Adds a batch. ran: [S, T, B], which images each way ran at which time steps; all rows without it."""
        if ran is None:
            counts = applied.counts.sum(1, keepdim=True)
        else:
            by_step = applied.counts.view(len(applied.counts), 1, -1, ran.shape[2])
            # A layer that runs once has the rows of the first step, which every image runs.
            counts = (by_step * ran[:, : by_step.shape[2]]).sum((2, 3))
        whole = counts[4] == 0
        if applied.linear:
            # A silent network's mean over space is 0 everywhere, which is no spike.
            whole = whole & (counts[2] > 0)
        old = self._layers.get(name)
        if old is not None:
            counts, whole = old.counts + counts, old.whole & whole
        self._layers[name] = _Running(applied.elements, applied.macs, counts, whole)

    def layers(self, way: int = 0) -> dict[str, LayerWork]:
        """What every layer did in one of the ways to run, from input to output."""
        works = {}
        for name, layer in self._layers.items():
            rows, spikes, active, events, _ = layer.counts[:, way].tolist()
            elements, macs, whole = rows * layer.elements, rows * layer.macs, bool(layer.whole[way])
            works[name] = LayerWork(elements, macs, rows, spikes, active, events, whole)
        return works


def synapse_hooks(model: SpikingNetwork, take: Callable[[str, Applied], None]) -> Iterator[tuple[nn.Module, Hook]]:
    """Every convolution and linear layer, with a hook that gives `take` its name and what it was applied to."""
    fan_outs: dict[tuple[str, torch.Size], Tensor] = {}

    def hook(name: str) -> Hook:
        def count(layer: nn.Module, inputs: Any, output: Tensor) -> None:
            x = inputs[0].detach()
            if isinstance(layer, nn.Conv2d):
                key = name, x.shape[-2:]
                if key not in fan_outs:
                    fan_outs[key] = fan_out(layer, x.shape[-2:], output.shape[-2:]).to(x.device)
                take(name, convolved(layer, x, output, fan_outs[key]))
            elif isinstance(layer, nn.Linear):
                take(name, multiplied(layer, x))

        return count

    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            yield layer, hook(name)


def convolved(conv: nn.Conv2d, x: Tensor, output: Tensor, fan_out: Tensor) -> Applied:
    """What a convolution of x [rows, C, H, W] costs; fan_out: [H, W], the outputs that each position feeds."""
    # Sums in float32 are many times faster than in whole numbers, and as exact.
    by_position = x.sum(1, dtype=torch.float32).long()
    events = (by_position * fan_out).sum((1, 2))
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    values = (x.movedim(1, -1) if channels_last else x).flatten(1)
    macs = output[0].numel() * conv.weight[0].numel()
    return Applied(False, values.shape[1], macs, _counts(values, by_position.sum((1, 2)), events))


def multiplied(linear: nn.Linear, x: Tensor) -> Applied:
    """What a linear layer costs on x [..., in_features]."""
    values = x.reshape(-1, linear.in_features)
    spikes = values.sum(1, dtype=torch.float32).long()
    macs = linear.in_features * linear.out_features
    return Applied(True, linear.in_features, macs, _counts(values, spikes, spikes * linear.out_features))


def _counts(values: Tensor, spikes: Tensor, events: Tensor) -> Tensor:
    """The counts of `Applied` for input values [rows, elements]."""
    active = values.sign().abs_().sum(1, dtype=torch.float32).long()
    whole = (values.frac().amax(1) == 0) & (values.amin(1) >= 0)
    return torch.stack([torch.ones_like(spikes), spikes, active, events, (~whole).long()])


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
