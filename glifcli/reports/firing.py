"""How often neurons fire: per layer, per time step, and how many never do."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glifcli.errors import GlifError
from glifcli.models.network import SpikingNetwork
from glifcli.reports.hooks import Hook, Watching


@dataclass(frozen=True)
class LayerRate:
    """rate: mean spikes per neuron and time step. silent_fraction: share of the neurons that never fired."""

    name: str
    rate: float
    silent_fraction: float
    per_step: tuple[float, ...]


@dataclass(frozen=True)
class FiringRates:
    """network: mean spikes per neuron and time step over all neurons, so that large layers weigh more."""

    network: float
    layers: tuple[LayerRate, ...]


@dataclass(frozen=True)
class LayerSpikes:
    """counts: spikes of each neuron at each time step over all images, [T, C, *space], on the CPU."""

    name: str
    images: int
    counts: Tensor

    @property
    def neurons(self) -> int:
        return self.counts[0].numel()

    @property
    def spikes(self) -> int:
        return int(self.counts.sum())


class FiringCounter(Watching):
    """Counts the spikes of every neuron while the context is open; costs one sum over each layer's spikes.

    Every forward pass of the network counts, in training and in eval mode. A neuron is a position
    [C, *space]; images must therefore all be of one size.
    """

    def __init__(self, model: SpikingNetwork) -> None:
        super().__init__()
        self._neurons = list(model.neurons())
        self._counts: dict[str, Tensor] = {}
        self._images: dict[str, int] = {}

    def hooks(self) -> Iterator[tuple[nn.Module, Hook]]:
        return ((neuron, self._hook(name)) for name, neuron in self._neurons)

    def spikes(self) -> tuple[LayerSpikes, ...]:
        """What was counted, from input to output. Raises GlifError where no image passed."""
        if not any(self._images.values()):
            raise GlifError("no image passed the network, so it has no firing rate", "give it at least one batch")
        return tuple(LayerSpikes(name, self._images[name], self._counts[name].cpu()) for name in self._counts)

    def rates(self) -> FiringRates:
        """Firing rates of all images so far. Raises GlifError where no image passed."""
        layers = self.spikes()
        chances = sum(layer.images * layer.counts.numel() for layer in layers)
        return FiringRates(
            network=sum(layer.spikes for layer in layers) / chances if chances else 0.0,
            layers=tuple(_rate(layer) for layer in layers),
        )

    def _hook(self, name: str) -> Hook:
        def count(_module: nn.Module, _inputs: Any, spikes: Tensor) -> None:
            # Summed in float32, the sum of a batch is exact up to 2^24 images and fast on any device.
            batch = spikes.detach().sum(1, dtype=torch.float32).to(torch.int32)
            before = self._counts.get(name)
            if before is not None and before.shape != batch.shape:
                raise GlifError(
                    f"the spikes of layer `{name}` have shape {list(batch.shape)} in this batch and "
                    f"{list(before.shape)} in the one before",
                    "give images of one size",
                )
            # Not in place: what was made in inference mode may not be written to outside of it.
            self._counts[name] = batch if before is None else before + batch
            self._images[name] = self._images.get(name, 0) + spikes.shape[1]

        return count


def _rate(layer: LayerSpikes) -> LayerRate:
    per_step = layer.counts.flatten(1).sum(1).double() / (layer.images * layer.neurons)
    silent = (layer.counts.sum(0) == 0).double().mean()
    return LayerRate(layer.name, per_step.mean().item(), silent.item(), tuple(per_step.tolist()))
