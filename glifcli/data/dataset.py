"""What a loaded data set is: images and labels of its splits, classes, normalisation."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from glifcli.data.images import Images
from glifcli.data.normalisation import Normalisation, measure
from glifcli.errors import DataError


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels, int64 [N]."""

    images: Images
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def pick(self, indices: Tensor) -> "Split":
        """The images at `indices` as a split of their own."""
        return Split(self.images.pick(indices), self.labels[indices])

    def take(self, count: int) -> "Split":
        """`count` images evenly spaced over the split, or all where there are fewer; only these are decoded."""
        count = min(count, len(self))
        return self.pick(torch.arange(count) * len(self) // max(count, 1))


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set; `splits` has the keys asked for, of "train", "validation" and "test".

    image_size: height and width. published: the normalisation where the field has settled on one.
    time_steps: frames a sample, None for still images.
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    image_size: tuple[int, int]
    splits: Mapping[str, Split]
    published: Normalisation | None = None
    time_steps: int | None = None

    def check_time_steps(self, time_steps: int) -> None:
        """Raises DataError for event frames of another number of time steps than the model's."""
        if self.time_steps not in (None, time_steps):
            raise DataError(
                f"the event frames of `{self.name}` have {self.time_steps} time steps, the model {time_steps}",
                f"add `--time-steps {self.time_steps}`",
            )

    @cached_property
    def normalisation(self) -> Normalisation:
        """The published normalisation, else that of the training images (validation images excluded)."""
        if self.published is not None:
            return self.published
        if "train" not in self.splits:
            raise DataError(
                f"the normalisation of `{self.name}` comes from its training images, which were not loaded",
                "take the normalisation that the model file carries",
            )
        return measure(self.splits["train"].images)
