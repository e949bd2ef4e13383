"""CIFAR-10, CIFAR-100, MNIST and Fashion-MNIST, read and downloaded by torchvision."""

import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glifcli.data.normalisation import Normalisation
from glifcli.errors import DataError

TORCHVISION_CLASSES = {
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
}

# Where torchvision puts the files, under the data folder.
FOLDERS = {
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
}

# Mean and deviation over all training pixels. CIFAR-10: github.com/KellerJordan/cifar10-airbench; CIFAR-100:
# github.com/weiaicunzai/pytorch-cifar100, to four places; MNIST: github.com/pytorch/examples, mnist/main.py;
# Fashion-MNIST: the same four-place statistics of its own training images.
PUBLISHED = {
    "cifar10": Normalisation((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": Normalisation((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "mnist": Normalisation((0.1307,), (0.3081,)),
    "fashion-mnist": Normalisation((0.2860,), (0.3530,)),
}

# Seconds without an answer after which a download fails; torchvision itself would wait for ever.
SILENCE = 60.0


def default_folder() -> Path:
    """Where downloaded sets lie: `glif/data` under XDG_CACHE_HOME, or `~/.cache` where that is not set."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache") / "glif" / "data"


def load_torchvision_part(
    name: str, data_dir: str, download: bool, train: bool
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Pixels, uint8 [N, C, H, W], labels and class names; `data_dir` "" stands for the default folder.

    Raises DataError where the files are missing or damaged, or cannot be downloaded.
    """
    folder = Path(data_dir).expanduser() if data_dir else default_folder()
    source = open_set(name, folder, download, train)
    pixels = torch.as_tensor(source.data)
    pixels = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()
    labels = torch.as_tensor(source.targets, dtype=torch.int64)
    if len(pixels) != len(labels) or len(labels) == 0:
        raise damaged(name, folder, f"{len(pixels)} images and {len(labels)} labels")
    classes = tuple(source.classes)
    # torchvision calls MNIST's classes "0 - zero" and so on.
    return pixels, labels, tuple(label.split(" - ")[0] for label in classes) if name == "mnist" else classes


def open_set(name: str, folder: Path, download: bool, train: bool) -> Any:
    """torchvision's data set object, downloaded first where asked for and missing."""
    import torchvision.datasets

    kind = getattr(torchvision.datasets, TORCHVISION_CLASSES[name])
    try:
        return kind(folder, train=train, download=False)
    except Exception as error:
        # What torchvision says of missing files and of CIFAR's with another md5 sum. Other errors, from NumPy
        # or torch, come from files of MNIST that are cut short, which a download would take for good ones.
        if not (isinstance(error, RuntimeError) and "not found" in str(error)):
            raise damaged(name, folder, cause(error)) from error
        if not download:
            images = any((folder / part).is_dir() for part in ("train", "test", "val"))
            hint = "for its folders of images add `--dataset imagefolder`" if images else "add `--download`"
            raise DataError(f"`{name}` is not in `{folder}`, or is damaged", hint) from error
    try:
        with bounded_silence(), redirect_stdout(sys.stderr):
            return kind(folder, train=train, download=True)
    # Refused connections, broken archives, full disks: which errors come out is not documented.
    except Exception as error:
        raise DataError(
            f"`{name}` could not be downloaded to `{folder}`: {cause(error)}",
            f"try again, or copy the files of `{name}` there and leave out `--download`",
        ) from error


def cause(error: Exception) -> str:
    """The error's message in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def damaged(name: str, folder: Path, reason: str) -> DataError:
    """What to raise for files that are there but cannot be used."""
    files = shlex.quote(str(folder / FOLDERS[name]))
    return DataError(f"`{name}` in `{folder}` cannot be read: {reason}", f"rm -r {files}, and add `--download`")


@contextmanager
def bounded_silence() -> Iterator[None]:
    """Lets connections fail after SILENCE seconds without an answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
