"""Event frames: NumPy files of counts [T, 2, H, W], as SpikingJelly writes them for CIFAR10-DVS and others."""

import math
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import get_worker_info

from glifcli.data.decoding import CHUNK, MAX_THREADS, in_threads
from glifcli.errors import DataError

# The array's name in an .npz file.
ARRAY = "frames"
# An event is of one of two polarities.
CHANNELS = 2
# The share of each class, the first files of it, that the published networks were trained on.
TRAINING_SHARE = 0.9
# Kept as they are, where they are not resized; all others become float32, in which counts to 2^24 are exact.
KEPT = {np.dtype(np.bool_): torch.uint8, np.dtype(np.uint8): torch.uint8, np.dtype(np.int16): torch.int16}


@dataclass(frozen=True)
class EventDecoder:
    """Files of event frames as counts of one shape [T, 2, H, W] and dtype.

    resize: whether frames of other heights and widths are scaled, bilinearly and without antialiasing, as
    torchvision's Resize did to tensors when the networks were published.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    resize: bool
    random: bool = False

    def decode(self, paths: Sequence[str]) -> Tensor:
        """The counts [N, T, 2, H, W].

        Raises DataError for a file that cannot be read, has no such array, or has one of another shape, for an
        integer type wider than the first file's, and for numbers that are negative or not finite.
        """
        counts = torch.empty(len(paths), *self.shape, dtype=self.dtype)

        def fill(index: int) -> None:
            counts[index] = self.decode_file(paths[index])

        alone = len(paths) <= CHUNK or get_worker_info() is not None
        in_threads(fill, len(paths), 1 if alone else min(MAX_THREADS, os.cpu_count() or 1))
        return counts

    def decode_file(self, path: str) -> Tensor:
        """The counts of one file, [T, 2, H, W]."""
        frames = read_frames(path)
        steps, _, *size = self.shape
        if len(frames) != steps:
            raise DataError(
                f"event frames `{path}` have {len(frames)} time steps, the first ones {steps}",
                f"integrate the events of all files to {steps} frames, or to another number",
            )
        if list(frames.shape[2:]) != size and not self.resize:
            given, first = (f"{width}x{height}" for height, width in (frames.shape[2:], size))
            raise DataError(
                f"event frames `{path}` are `{given}` but the first ones are `{first}`",
                f"add `--set data.image_size={min(size)}`, or another size, to scale all frames to it",
            )
        counts = to_counts(frames, self.dtype, path)
        if list(counts.shape[2:]) == size:
            return counts
        return interpolate(counts, size=size, mode="bilinear", align_corners=False)

    def cropped(self, smallest: float) -> "EventDecoder":
        raise DataError(
            f"`augment.random_resized_crop={smallest:g}` is for images, the data set is of event frames",
            "set `augment.crop_padding`, and `augment.random_resized_crop=0`",
        )


def decoder_like(path: str, image_size: int) -> EventDecoder:
    """What decodes files like the one at `path`; `image_size` scales frames to that height and width, 0 leaves them.

    Raises DataError for a file without event frames.
    """
    frames = read_frames(path)
    steps, channels, height, width = frames.shape
    if image_size:
        return EventDecoder((steps, channels, image_size, image_size), torch.float32, resize=True)
    kept = KEPT.get(frames.dtype.newbyteorder("="), torch.float32)
    return EventDecoder((steps, channels, height, width), kept, resize=False)


def read_frames(path: str) -> NDArray[np.generic]:
    """The array of frames at `path`, [T, 2, H, W] of any real type. Raises DataError for any other and for none."""
    frames: object = None
    names: Sequence[str] = ()
    try:
        # Never a pickle: it could run code.
        opened = np.load(path, allow_pickle=False)
        if isinstance(opened, np.ndarray):
            frames = opened
        else:
            with opened:
                names = opened.files
                frames = opened[ARRAY] if ARRAY in names else None
    # A damaged file raises ValueError, EOFError, BadZipFile, zlib.error and, where it claims a size, MemoryError.
    except Exception as error:
        raise unreadable(path, error) from error
    example = f"save it anew: numpy.savez({shlex.quote(path)!r}, {ARRAY}=counts), with counts [T, {CHANNELS}, H, W]"
    if frames is None:
        raise DataError(
            f"`{path}` has no array `{ARRAY}`, but {', '.join(map('`{}`'.format, names)) or 'none'}", example
        )
    if not isinstance(frames, np.ndarray) or frames.dtype.kind not in "buif":
        kind = frames.dtype if isinstance(frames, np.ndarray) else "no array"
        raise DataError(f"`{ARRAY}` in `{path}` is `{kind}`, not integers or floats", example)
    if frames.ndim != 4 or frames.shape[1] != CHANNELS or frames.size == 0:
        raise DataError(f"`{ARRAY}` in `{path}` has shape `{list(frames.shape)}`, not [T, {CHANNELS}, H, W]", example)
    return frames


def to_counts(frames: NDArray[np.generic], dtype: torch.dtype, path: str) -> Tensor:
    """The frames in that dtype. Raises DataError where it cannot hold theirs, and for what no count is."""
    kept = np.dtype(str(dtype).removeprefix("torch."))
    if kept.kind != "f" and not np.can_cast(frames.dtype, kept, "safe"):
        raise DataError(
            f"event frames `{path}` are of the type `{frames.dtype}` but the first ones of `{kept}`",
            "save all of them with one type",
        )
    with np.errstate(over="ignore"):
        counts = frames.astype(kept)
    # Of a NaN the comparison is false too.
    if not (counts.min() >= 0 and counts.max() < math.inf):
        what = "are not finite" if not np.isfinite(counts).all() else f"go down to `{counts.min()}`"
        raise DataError(
            f"the counts in `{path}` {what}", f"integrate its events anew, or remove it: rm {shlex.quote(path)}"
        )
    return torch.from_numpy(counts)


def published_split(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of the first nine tenths of each class, rounded up, and of the rest.

    It is SpikingJelly's split_to_train_test_set, which CIFAR10-DVS, published without a split, is divided by.
    """
    training, rest = [], []
    for label in labels.unique():
        indices = (labels == label).nonzero().flatten()
        count = math.ceil(TRAINING_SHARE * len(indices))
        training.append(indices[:count])
        rest.append(indices[count:])
    return torch.cat(training), torch.cat(rest)


def unreadable(path: str, error: Exception) -> DataError:
    """What to raise for a file that NumPy does not read."""
    if isinstance(error, OSError) and error.errno is not None:
        return DataError(f"`{path}` cannot be read: {error.strerror}", f"look at it: ls -l {shlex.quote(path)}")
    cause = " ".join(str(error).split()) or type(error).__name__
    # NumPy takes any bytes that it does not know for a pickle.
    if "pickle" in cause:
        cause = "it holds Python objects, or is no NumPy file"
    return DataError(f"`{path}` cannot be read: {cause}", f"replace the file, or remove it: rm {shlex.quote(path)}")
