"""Image files to pixels, in threads; a file that cannot be decoded is named with its path."""

import os
import shlex
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import get_worker_info

from glifcli.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

# Up to this many pixels an image decodes in less time than threads spend on handing over the interpreter's
# lock, and a second one only hides the disk: 60,000 JPEGs of 32x32 took 7 s from memory and 16 s from disk
# with one thread, 10 s and 14 s with two, on two cores (torch 2.15, Pillow 13).
SMALL = 64 * 64
SMALL_THREADS = 2
MAX_THREADS = 8
# Images a thread takes at a time.
CHUNK = 64


# Left, top, right and bottom, in pixels.
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class ImageDecoder:
    """Image files to RGB of `size` (height, width); `resize` and `shorter_side` as in `decode_image`.

    smallest: above 0, a random box of at least that share of each image's area is scaled to `size`.
    """

    size: tuple[int, int]
    resize: bool
    shorter_side: int = 0
    smallest: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        return (3, *self.size)

    @property
    def dtype(self) -> torch.dtype:
        return torch.uint8

    @property
    def random(self) -> bool:
        return self.smallest > 0

    def decode(self, paths: Sequence[str]) -> Tensor:
        """The images as uint8 [N, 3, H, W]."""
        boxes = random_boxes(paths, self.smallest) if self.random else None
        return decode_images(paths, self.size, self.resize, self.shorter_side, boxes)

    def cropped(self, smallest: float) -> "ImageDecoder":
        return replace(self, smallest=smallest)


def decode_images(
    paths: Sequence[str],
    size: tuple[int, int],
    resize: bool,
    shorter_side: int = 0,
    boxes: Sequence[Box] | None = None,
) -> Tensor:
    """The images as uint8 [N, 3, H, W]; all else as in `decode_image`.

    Raises DataError for the first path, in the order given, that cannot be decoded.
    """
    pixels = np.empty((len(paths), 3, *size), dtype=np.uint8)

    def fill(index: int) -> None:
        box = None if boxes is None else boxes[index]
        pixels[index] = decode_image(paths[index], size, resize, shorter_side, box).transpose(2, 0, 1)

    in_threads(fill, len(paths), thread_count(paths))
    return torch.from_numpy(pixels)


def in_threads(fill: Callable[[int], None], count: int, threads: int) -> None:
    """Calls `fill` with every number below `count`; raises what the lowest number that fails raises."""

    def fill_chunk(start: int) -> None:
        for index in range(start, min(start + CHUNK, count)):
            fill(index)

    starts = range(0, count, CHUNK)
    if threads == 1:
        for start in starts:
            fill_chunk(start)
        return
    # A pool for each call: threads kept alive would be missing in worker processes forked from this one.
    pool = ThreadPoolExecutor(threads)
    try:
        for _ in pool.map(fill_chunk, starts):
            pass
    finally:
        pool.shutdown(cancel_futures=True)


def random_boxes(paths: Sequence[str], smallest: float) -> list[Box]:
    """A box of each image that v2.RandomResizedCrop draws: at least `smallest` of the area, 3:4 to 4:3.

    They are drawn one after the other before threads decode, so that they follow from the generator alone.
    """
    from torchvision.transforms import v2

    crop = v2.RandomResizedCrop(1, scale=(smallest, 1.0))
    boxes = []
    for path in paths:
        # Nothing but the size is read of it.
        drawn = crop.make_params([torch.empty(1, *image_size(path), device="meta")])
        left, top = drawn["left"], drawn["top"]
        boxes.append((left, top, left + drawn["width"], top + drawn["height"]))
    return boxes


def thread_count(paths: Sequence[str]) -> int:
    """How many threads decode `paths`: one in a worker process, which has siblings, and for a few images."""
    if len(paths) <= CHUNK or get_worker_info() is not None:
        return 1
    height, width = image_size(paths[0])
    return min(SMALL_THREADS if height * width <= SMALL else MAX_THREADS, os.cpu_count() or 1)


def decode_image(
    path: str, size: tuple[int, int], resize: bool, shorter_side: int = 0, box: Box | None = None
) -> NDArray[np.uint8]:
    """The image at `path` as RGB [H, W, 3]; with `resize`, shorter side scaled to `size` and centre cut out.

    shorter_side: the length, not 0, that the shorter side is scaled to before `size` is cut out of the centre.
    box: a part of the image that is scaled to `size` in place of all that. Raises DataError for a damaged file,
    for more than 8 bits a channel and, where nothing is scaled, for another size.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
            rgb = image if image.mode == "RGB" else to_rgb(image, path)
            if box is not None:
                # Not resize(box=box), which lets pixels around the box in.
                rgb = rgb.crop(box).resize(size[::-1], Image.Resampling.BILINEAR)
            elif shorter_side:
                rgb = resize_then_crop(rgb, size, shorter_side)
            elif (rgb.height, rgb.width) != size:
                if not resize:
                    raise size_error(path, rgb, size)
                rgb = resize_and_crop(rgb, size)
            # tobytes, because numpy's own way through __array_interface__ takes twice as long here.
            return np.frombuffer(rgb.tobytes(), np.uint8).reshape(*size, 3)
    except DataError:
        raise
    # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others for damaged bytes.
    except Exception as error:
        raise unreadable(path, error) from error


def image_size(path: str) -> tuple[int, int]:
    """Height and width of the image at `path`, from its header."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.height, image.width
    except Exception as error:
        raise unreadable(path, error) from error


def resize_and_crop(image: "Image", size: tuple[int, int]) -> "Image":
    """The largest centred cut-out of `image` with the proportions of `size`, scaled to it.

    Bilinear and antialiased: Pillow's BILINEAR takes in every pixel it scales down.
    """
    from PIL import Image

    height, width = size
    scale = min(image.height / height, image.width / width)
    left = (image.width - width * scale) / 2
    top = (image.height - height * scale) / 2
    box = (left, top, left + width * scale, top + height * scale)
    return image.resize((width, height), Image.Resampling.BILINEAR, box=box)


def resize_then_crop(image: "Image", size: tuple[int, int], shorter_side: int) -> "Image":
    """torchvision's Resize(shorter_side) and CenterCrop(size), to the pixel."""
    from torchvision.transforms.v2 import functional

    return functional.center_crop(functional.resize(image, [shorter_side]), list(size))


def to_rgb(image: "Image", path: str) -> "Image":
    """`image` in RGB; DataError for a mode whose values Pillow would clip to 0..255."""
    if image.mode.startswith(("I", "F")):
        raise DataError(
            f"image `{path}` has more than 8 bits a channel (mode `{image.mode}`)",
            f"convert it: magick {shlex.quote(path)} -depth 8 {shlex.quote(path)}",
        )
    return image.convert("RGB")


def size_error(path: str, image: "Image", size: tuple[int, int]) -> DataError:
    """What to raise for an image of another size than the first."""
    height, width = size
    return DataError(
        f"image `{path}` is `{image.width}x{image.height}` but the first one is `{width}x{height}`",
        f"add `--set data.image_size={min(size)}`, or another size, to scale and crop all images to it",
    )


def unreadable(path: str, error: Exception) -> DataError:
    """What to raise for a file that cannot be opened or decoded."""
    if isinstance(error, OSError) and error.errno is not None:
        return DataError(f"image `{path}` cannot be read: {error.strerror}", f"look at it: ls -l {shlex.quote(path)}")
    cause = str(error).split(" '")[0].split(" <_io")[0] or type(error).__name__
    return DataError(
        f"image `{path}` cannot be decoded: {cause}",
        f"replace the file, or remove it: rm {shlex.quote(path)}",
    )
