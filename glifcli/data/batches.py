"""Batches: in random order and augmented for training, in order and whole for evaluation.

A training batch is a pure function of (seed, epoch, step). A run that is resumed in the middle of an epoch
gets the batches it would have got, whatever the number of worker processes.
"""

import hashlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from glifcli import recipe
from glifcli.data.augmentation import Augmentation
from glifcli.data.dataset import Split
from glifcli.data.normalisation import Normalisation, normalise
from glifcli.errors import DataError

Batch = tuple[Tensor, Tensor]


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Batches in an epoch: an incomplete last one is dropped, unless the set is smaller than one batch."""
    return max(1, images // batch_size)


def train_batches(
    split: Split,
    normalisation: Normalisation,
    classes: int,
    settings: recipe.Data,
    augment: recipe.Augment,
    *,
    seed: int,
    epoch: int,
    start_step: int = 0,
    device: torch.device | str = "cpu",
) -> Iterator[Batch]:
    """Images, float32 [B, C, H, W], and targets, int64 [B] or, with MixUp or CutMix, float32 [B, classes].

    Event frames are float32 [B, T, C, H, W].

    They are augmented on the device, or on the CPU where worker processes make them, and may be left there. The
    caller's random state is left as it is. Raises DataError for an empty split, for settings that do not
    fit the images and, while iterating, for an image that cannot be decoded.
    """
    if len(split) == 0:
        raise DataError("there are no training images", "set a smaller `data.validation`")
    where = device if settings.workers == 0 else "cpu"
    augmentation = Augmentation(augment, normalisation, classes, split.images.shape, where)
    if augment.random_resized_crop:
        split = Split(split.images.cropped(augment.random_resized_crop), split.labels)
    batches = EpochBatches(split, augmentation, settings.batch_size, seed, epoch)
    steps = range(start_step, steps_per_epoch(len(split), settings.batch_size))
    if settings.workers == 0:
        return (batches.make(step) for step in steps)
    return batches_from_workers(batches, steps, settings.workers)


def eval_batches(split: Split, normalisation: Normalisation, batch_size: int) -> Iterator[Batch]:
    """Every image in order, float32 [B, C, H, W] or [B, T, C, H, W], and labels, int64 [B].

    The last batch may be smaller.
    """
    for indices in torch.arange(len(split)).split(batch_size) if len(split) else ():
        yield normalise(split.images.fetch(indices), normalisation), split.labels[indices]


def mixed_seed(*parts: int | str) -> int:
    """A seed made of `parts`, hashed, so that (0, 1) and (1, 0) have nothing in common."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "little")


@dataclass(frozen=True, eq=False)
class EpochBatches:
    """The batches of one epoch, by step; also what a worker process reads, which gets an error as a value."""

    split: Split
    augmentation: Augmentation
    batch_size: int
    seed: int
    epoch: int

    @cached_property
    def order(self) -> Tensor:
        """The epoch's order of the images."""
        generator = torch.Generator().manual_seed(mixed_seed("order", self.seed, self.epoch))
        return torch.randperm(len(self.split), generator=generator)

    def make(self, step: int) -> Batch:
        """The batch of `step`."""
        indices = self.order[step * self.batch_size : (step + 1) * self.batch_size]
        # The CPU generator alone: torch.manual_seed would reseed the accelerators too, and dropout with them.
        with one_thread(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(mixed_seed("augment", self.seed, self.epoch, step))
            pixels = self.split.images.fetch(indices)
            return self.augmentation(pixels, self.split.labels[indices])

    def __len__(self) -> int:
        return steps_per_epoch(len(self.split), self.batch_size)

    def __getitem__(self, step: int) -> Batch | DataError:
        # Raised in a worker, it would reach us with a traceback in its message and without its hint.
        try:
            return self.make(step)
        except DataError as error:
            return error


def batches_from_workers(batches: EpochBatches, steps: range, workers: int) -> Iterator[Batch]:
    """The batches of `steps`, in order, made by worker processes."""
    batches.split.images.prepare()
    loader: DataLoader[Batch | DataError] = DataLoader(
        batches,  # type: ignore[arg-type]  # has __getitem__ and __len__, which is all that is asked
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        collate_fn=unchanged,
        worker_init_fn=leave_signals,
        # Without a generator of its own it draws from the caller's global one.
        generator=torch.Generator(),
    )
    for item in loader:
        if isinstance(item, DataError):
            raise item
        yield item


def leave_signals(worker: int) -> None:
    """In a worker process, Ctrl-C is the main process's to answer, and SIGTERM ends it as it ends any process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread inside torch's operators, as in a worker process, so that sums are taken in the same order.

    Little is lost: for small images the operators gain nothing from a second thread.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def unchanged(item: Any) -> Any:
    """`item`: the default would turn the tuple into a list."""
    return item
