"""Spikes and operations where each image runs some of the time steps only: counted once, for many ways to stop."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from glifcli.models.network import SpikingNetwork
from glifcli.reports.hooks import Hook, Watching
from glifcli.reports.operations import NeuronWork, Operations, operations_per_image
from glifcli.reports.synapses import Applied, Tally, synapse_hooks


@dataclass(frozen=True)
class Spent:
    """What one way to stop took. stopped: share of the images that ran 1, 2, … T steps; firing_rate: spikes per neuron
    and time step that ran; operations: per image.
    """

    stopped: tuple[float, ...]
    mean_time_steps: float
    firing_rate: float
    operations: Operations


class StepCounter(Watching):
    """Counts what every image costs at every time step while the context is open.

    After each batch `close_batch` says how many steps of it each way to stop runs. The costs of a way are the sums
    over the images and the steps that they ran; what runs once for a still image counts once.
    """

    def __init__(self, model: SpikingNetwork) -> None:
        super().__init__()
        self._model = model
        self._applied: list[tuple[str, Applied]] = []
        self._spikes: dict[str, Tensor] = {}
        self._sizes: dict[str, int] = {}
        self._tally = Tally()
        self._fired: dict[str, Tensor] = {}
        self._stopped: Tensor | None = None

    def hooks(self) -> Iterator[tuple[nn.Module, Hook]]:
        yield from ((neuron, self._hook(name)) for name, neuron in self._model.neurons())
        yield from synapse_hooks(self._model, self._take)

    def close_batch(self, steps: Tensor) -> None:
        """Ends the batch that the network has just passed. steps: [S, B], how many each image runs in each way."""
        step = torch.arange(1, self._model.time_steps + 1, device=steps.device)[:, None]
        ran = step <= steps[:, None]
        for name, applied in self._applied:
            self._tally.add(name, applied, ran)
        for name, spikes in self._spikes.items():
            fired = (spikes * ran).sum((1, 2))
            self._fired[name] = self._fired[name] + fired if name in self._fired else fired
        stopped = (step == steps[:, None]).sum(2)
        self._stopped = stopped if self._stopped is None else self._stopped + stopped
        self._applied.clear()
        self._spikes.clear()

    def spent(self, way: int) -> Spent:
        """What one of the ways to stop took, of all batches so far, at least one."""
        assert self._stopped is not None
        stopped = self._stopped[way].tolist()
        images = sum(stopped)
        steps = sum(step * count for step, count in enumerate(stopped, 1))
        longest = max(step for step, count in enumerate(stopped, 1) if count)
        works = []
        for name, neuron in self._model.neurons():
            # Of the steps that nothing ran, no constant counts.
            constants = neuron.constants().steps(0, longest)
            works.append(NeuronWork(constants, steps * self._sizes[name], int(self._fired[name][way])))
        return Spent(
            stopped=tuple(count / images for count in stopped),
            mean_time_steps=steps / images,
            firing_rate=sum(work.spikes for work in works) / sum(work.updates for work in works),
            operations=operations_per_image(self._tally.layers(way), works, images),
        )

    def _take(self, name: str, applied: Applied) -> None:
        self._applied.append((name, applied))

    def _hook(self, name: str) -> Hook:
        def count(_module: nn.Module, _inputs: Any, spikes: Tensor) -> None:
            # Summed in float32, which is fast on any device, an image's spikes are exact up to 2^24.
            self._spikes[name] = spikes.detach().sum(tuple(range(2, spikes.dim())), dtype=torch.float32).long()
            self._sizes[name] = spikes[0, 0].numel()

        return count
