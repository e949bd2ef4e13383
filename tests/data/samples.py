"""Made-up images: files in folders, the IDX format of MNIST, splits in memory."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from glifcli.data import MemoryImages, Split


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> None:
    """A random image of (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = size if mode == "L" else (*size, 3)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(path)


def write_folder(root: Path, counts: Mapping[str, Mapping[str, int]], size: tuple[int, int] = (8, 8)) -> Path:
    """`counts`: images by split and class."""
    seed = 0
    for split, classes in counts.items():
        for name, count in classes.items():
            for number in range(count):
                seed += 1
                write_image(root / split / name / f"{number:03}.png", seed, size)
    return root


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    """The IDX format of MNIST: magic number, sizes, bytes."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def make_split(count: int = 20, channels: int = 3, side: int = 8, classes: int = 4) -> Split:
    """Random images; the first pixel's value is the image's number."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8, generator=generator)
    pixels[:, :, 0, 0] = torch.arange(count, dtype=torch.uint8)[:, None]
    return Split(MemoryImages(pixels), torch.arange(count) % classes)
