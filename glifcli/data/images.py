"""Where the pixels of a split are: in memory, or in files that are decoded once or batch by batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

# A folder whose decoded pixels exceed this many bytes stays on disk and is decoded batch by batch.
MEMORY_BUDGET = 4 * 2**30


class Images(Protocol):
    """Images of one size, or samples of event frames of one size and number, numbered from 0."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, height and width; of event frames, time steps before them."""
        ...

    def __len__(self) -> int: ...

    def prepare(self) -> None:
        """Do the work that is done once, so that worker processes started later share it."""
        ...

    def fetch(self, indices: Tensor) -> Tensor:
        """Those at `indices` (int64 [B]): images as uint8 [B, C, H, W], event frames as counts [B, T, C, H, W]."""
        ...

    def pick(self, indices: Tensor) -> "Images":
        """The images at `indices` as a set of their own."""
        ...

    def cropped(self, smallest: float) -> "Images":
        """The same, but each fetch cuts a random box of at least that share of the area out of each image.

        Random numbers come from torch's global CPU generator. Raises DataError for event frames.
        """
        ...


class Decoder(Protocol):
    """What files become."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one of them, as in `Images`."""
        ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def random(self) -> bool:
        """Whether a file becomes something else each time."""
        ...

    def decode(self, paths: Sequence[str]) -> Tensor:
        """The files as [N, *shape]; DataError for the first, in the order given, that cannot be decoded."""
        ...

    def cropped(self, smallest: float) -> "Decoder":
        """As in `Images`."""
        ...


@dataclass(frozen=True, eq=False)
class MemoryImages:
    """Images in one tensor [N, *shape]; `smallest` as in `Images.cropped`, 0 for whole images."""

    pixels: Tensor
    smallest: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.pixels.shape[1:])

    def __len__(self) -> int:
        return len(self.pixels)

    def prepare(self) -> None:
        pass

    def fetch(self, indices: Tensor) -> Tensor:
        pixels = self.pixels[indices]
        if self.smallest == 0:
            return pixels
        from torchvision.transforms import v2

        crop = v2.RandomResizedCrop(self.shape[-2:], scale=(self.smallest, 1.0))
        return torch.stack([crop(image) for image in pixels])

    def pick(self, indices: Tensor) -> Images:
        return MemoryImages(self.pixels[indices], self.smallest)

    def cropped(self, smallest: float) -> Images:
        return MemoryImages(self.pixels, smallest)


@dataclass(frozen=True, eq=False)
class FolderImages:
    """Files; all of them decoded on first use where that fits into MEMORY_BUDGET and is the same each time."""

    paths: Sequence[str]
    decoder: Decoder

    @property
    def shape(self) -> tuple[int, ...]:
        return self.decoder.shape

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def decoded(self) -> Tensor | None:
        """All the images, [N, *shape]; None where they exceed the budget or are cut at random."""
        size = len(self.paths) * math.prod(self.shape) * self.decoder.dtype.itemsize
        if self.decoder.random or size > MEMORY_BUDGET:
            return None
        return self.decoder.decode(self.paths)

    def prepare(self) -> None:
        _ = self.decoded

    def fetch(self, indices: Tensor) -> Tensor:
        if self.decoded is not None:
            return self.decoded[indices]
        return self.decoder.decode([self.paths[index] for index in indices.tolist()])

    def pick(self, indices: Tensor) -> Images:
        # Asked of __dict__, not of the property: picking a few images must not decode all of them.
        decoded: Tensor | None = self.__dict__.get("decoded")
        if decoded is not None:
            return MemoryImages(decoded[indices])
        return FolderImages([self.paths[index] for index in indices.tolist()], self.decoder)

    def cropped(self, smallest: float) -> Images:
        return FolderImages(self.paths, self.decoder.cropped(smallest))
