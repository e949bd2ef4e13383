"""What is judged: a model file on its device, and the split of a data set that it is shown."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glifcli.checkpoint import Metadata, load
from glifcli.data import Dataset, Normalisation, eval_batches
from glifcli.data.dataset import Split
from glifcli.device import DTYPES, choose_device, choose_precision
from glifcli.models.network import SpikingNetwork
from glifcli.models.time_steps import with_time_steps
from glifcli.ops import choose_backend
from glifcli.reports.inference import first_frames

Batches = Iterable[tuple[Tensor, Tensor]]
# Is given batches and their number and hands the batches on, so that the caller can draw progress.
Watch = Callable[[Batches, int], Batches]
# Evaluation keeps no gradients: smaller batches than this only cost time.
BATCH_SIZE = 128


@dataclass(frozen=True, eq=False)
class Subject:
    """conductance: how the network came to other time steps than the trained ones, None where they were not asked for.

    precision, backend: names, those chosen for "auto".
    """

    checkpoint: Path
    network: SpikingNetwork
    metadata: Metadata
    dataset: Dataset
    split: str
    device: torch.device
    precision: str
    backend: str
    batch_size: int
    conductance: str | None = None

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.precision]

    def at(self, time_steps: int, conductance: str) -> "Subject":
        """The same at another number of time steps; see `with_time_steps`."""
        return replace(self, network=with_time_steps(self.network, time_steps, conductance), conductance=conductance)

    def batches(self, watch: Watch = lambda batches, _: batches) -> Batches:
        """The split's images, normalised as the model file says.

        Where time steps were asked for, or the file is of a model converted to others, the first frames of events.
        """
        images = self._images()
        batches = watch(self._batches(images, self.batch_size), -(-len(images) // self.batch_size))
        if self.conductance is None and "trained_time_steps" not in self.metadata.made:
            return batches
        return ((first_frames(inputs, self.network.time_steps), labels) for inputs, labels in batches)

    def one_image(self) -> Tensor:
        """The first image of the split as a batch of its own."""
        return next(self._batches(self._images().take(1), 1))[0]

    def names(self) -> dict[str, Any]:
        """What was judged and where, as JSON objects tell it."""
        return {
            "checkpoint": str(self.checkpoint),
            "model": self.metadata.architecture,
            "neuron": self.metadata.neuron.name,
            "dataset": self.dataset.name,
            "split": self.split,
            "device": str(self.device),
            "precision": self.precision,
            "backend": self.backend,
        }

    def _images(self) -> Split:
        images = self.dataset.splits[self.split]
        images.images.prepare()
        return images

    def _batches(self, images: Split, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        return eval_batches(images, Normalisation(self.metadata.mean, self.metadata.std), size)


def load_subject(
    checkpoint: Path,
    dataset: Dataset,
    split: str,
    *,
    device: str,
    precision: str,
    backend: str,
    batch_size: int = BATCH_SIZE,
) -> Subject:
    """A model file, ready to be judged on a split that the data set has.

    device, precision, backend: names, "auto" too. Raises CheckpointError, and GlifError for one that is not there.
    """
    chosen = choose_device(device)
    precision = choose_precision(precision, chosen)
    network, metadata = load(checkpoint, backend)
    network.to(chosen)
    if precision == "fp64":
        network.double()
    backend = choose_backend(backend, chosen, DTYPES[precision])
    return Subject(checkpoint, network, metadata, dataset, split, chosen, precision, backend, batch_size)
