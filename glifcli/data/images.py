"""Where the pixels of a split are: in memory, or in a folder that is decoded once or image by image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from torch import Tensor

from glifcli.data.decoding import decode_images

# A folder whose decoded pixels exceed this many bytes stays on disk and is decoded batch by batch.
MEMORY_BUDGET = 4 * 2**30


class Images(Protocol):
    """Images of one size, numbered from 0."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        ...

    def __len__(self) -> int: ...

    def prepare(self) -> None:
        """Do the work that is done once, so that worker processes started later share it."""
        ...

    def fetch(self, indices: Tensor) -> Tensor:
        """The images at `indices` (int64 [B]) as uint8 [B, C, H, W]."""
        ...

    def pick(self, indices: Tensor) -> "Images":
        """The images at `indices` as a set of their own."""
        ...


@dataclass(frozen=True, eq=False)
class MemoryImages:
    """Images in one uint8 tensor [N, C, H, W]."""

    pixels: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    def __len__(self) -> int:
        return len(self.pixels)

    def prepare(self) -> None:
        pass

    def fetch(self, indices: Tensor) -> Tensor:
        return self.pixels[indices]

    def pick(self, indices: Tensor) -> Images:
        return MemoryImages(self.pixels[indices])


@dataclass(frozen=True, eq=False)
class FolderImages:
    """Image files, always decoded to RGB; all of them on first use where they fit into MEMORY_BUDGET.

    With `resize`, shorter side to `size` (height, width) and centre crop; without, an image of another size
    is a DataError, as is one that cannot be decoded.
    """

    paths: Sequence[str]
    size: tuple[int, int]
    resize: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        return (3, *self.size)

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def decoded(self) -> Tensor | None:
        """All the images, uint8 [N, 3, H, W]; None where they exceed the budget."""
        if len(self.paths) * math.prod(self.shape) > MEMORY_BUDGET:
            return None
        return decode_images(self.paths, self.size, self.resize)

    def prepare(self) -> None:
        _ = self.decoded

    def fetch(self, indices: Tensor) -> Tensor:
        if self.decoded is not None:
            return self.decoded[indices]
        return decode_images([self.paths[index] for index in indices.tolist()], self.size, self.resize)

    def pick(self, indices: Tensor) -> Images:
        # Asked of __dict__, not of the property: picking a few images must not decode all of them.
        decoded: Tensor | None = self.__dict__.get("decoded")
        if decoded is not None:
            return MemoryImages(decoded[indices])
        return FolderImages([self.paths[index] for index in indices.tolist()], self.size, self.resize)
