"""Image files to pixels, in threads; a file that cannot be decoded is named with its path."""

import os
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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


def decode_images(paths: Sequence[str], size: tuple[int, int], resize: bool) -> Tensor:
    """The images as uint8 [N, 3, H, W]; `size` is (height, width), `resize` as in `decode_image`.

    Raises DataError for the first path, in the order given, that cannot be decoded.
    """
    pixels = np.empty((len(paths), 3, *size), dtype=np.uint8)

    def fill(start: int) -> None:
        for index in range(start, min(start + CHUNK, len(paths))):
            pixels[index] = decode_image(paths[index], size, resize).transpose(2, 0, 1)

    starts = range(0, len(paths), CHUNK)
    threads = thread_count(paths)
    if threads == 1:
        for start in starts:
            fill(start)
        return torch.from_numpy(pixels)
    # A pool for each call: threads kept alive would be missing in worker processes forked from this one.
    pool = ThreadPoolExecutor(threads)
    try:
        for _ in pool.map(fill, starts):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
    return torch.from_numpy(pixels)


def thread_count(paths: Sequence[str]) -> int:
    """How many threads decode `paths`: one in a worker process, which has siblings, and for a few images."""
    if len(paths) <= CHUNK or get_worker_info() is not None:
        return 1
    height, width = image_size(paths[0])
    return min(SMALL_THREADS if height * width <= SMALL else MAX_THREADS, os.cpu_count() or 1)


def decode_image(path: str, size: tuple[int, int], resize: bool) -> NDArray[np.uint8]:
    """The image at `path` as RGB [H, W, 3]; with `resize`, shorter side scaled to `size` and centre cut out.

    Raises DataError for a damaged file, for more than 8 bits a channel and, without `resize`, for another
    size.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
            rgb = image if image.mode == "RGB" else to_rgb(image, path)
            if (rgb.height, rgb.width) != size:
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
