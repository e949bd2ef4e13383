"""Folders of files: `train/` and `test/` or `val/`, each with a folder a class."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from glifcli.errors import DataError


@dataclass(frozen=True)
class Kind:
    """What the files of a set are: which ones count, and their name and layout in what is said of them.

    undivided: whether the classes may lie directly in the folder of the set, which then has a published split.
    """

    noun: str
    extensions: frozenset[str]
    layout: str
    undivided: bool = False


IMAGES = Kind(
    "images",
    frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}),
    "`train/<class>/*.jpg` and `test/<class>/*.jpg`",
)
EVENTS = Kind(
    "event frames",
    frozenset({".npy", ".npz"}),
    "`train/<class>/*.npz` and `test/<class>/*.npz`, or as `<class>/*.npz`",
    undivided=True,
)
KINDS = {"imagefolder": IMAGES, "eventframes": EVENTS}


@dataclass(frozen=True)
class Layout:
    """The folders of a set; None where there is none."""

    root: Path
    train: Path | None
    validation: Path | None
    test: Path | None

    @property
    def undivided(self) -> bool:
        """Whether the classes lie directly in the root."""
        return self.train is self.validation is self.test is None


def find_layout(data_dir: str, dataset: str) -> Layout:
    """Which folders `data_dir` has; where there is no `test/`, `val/` is the test split.

    Raises DataError where `data_dir` is missing, not a folder, or not laid out as the data set's kind asks.
    """
    kind = KINDS[dataset]
    if not data_dir:
        raise DataError(f"data set `{dataset}` needs a folder", "add `--data-dir FOLDER`")
    root = Path(data_dir).expanduser()
    if not root.exists():
        raise DataError(f"data folder `{root}` does not exist", "give an existing one with `--data-dir FOLDER`")
    if not root.is_dir():
        raise DataError(f"`{root}` is not a folder", f"unpack it, and give a folder with {kind.layout}")
    names = subfolders(root)
    train, val, test = (root / name if name in names else None for name in ("train", "val", "test"))
    none = train is None and val is None and test is None
    if none and names and kind.undivided:
        check_classes(root, names)
    elif none:
        found = f"has the folders {listed(names)}" if names else "has no folders"
        raise DataError(f"data folder `{root}` {found}, not `train/` and `test/`", f"lay it out as {kind.layout}")
    return Layout(root, train, val if test is not None else None, test or val)


def check_classes(root: Path, names: Sequence[str]) -> None:
    """Raises DataError where folders that may be classes hold integrated events, as SpikingJelly names them."""
    inner = next((name for name in names if name.startswith(("frames_number_", "frames_duration_"))), None)
    if inner is not None:
        raise DataError(
            f"data folder `{root}` has the folders {listed(names)}, not a folder a class",
            f"give the frames inside it: `--data-dir {shlex.quote(str(root / inner))}`",
        )


def required(folder: Path | None, root: Path, name: str, kind: Kind) -> Path:
    """`folder`, or DataError where the split is missing from `root`."""
    if folder is not None:
        return folder
    wanted = "`test/` or `val/`" if name == "test" else f"`{name}/`"
    target = shlex.quote(str(root / name))
    raise DataError(f"data folder `{root}` has no {wanted}", f"make {target}, with a folder of {kind.noun} a class")


def class_names(folder: Path, kind: Kind) -> tuple[str, ...]:
    """The classes of a split, ascending; DataError where there are none."""
    names = subfolders(folder)
    if not names:
        raise DataError(f"`{folder}` has no class folders", f"lay the {kind.noun} out as {kind.layout}")
    return tuple(names)


def list_files(folder: Path, classes: Sequence[str], kind: Kind) -> tuple[list[str], Tensor]:
    """Paths and labels of the files of that kind under `folder`, by class and then by path.

    Files of other kinds and hidden ones are passed over. Raises DataError for a class that is not among
    `classes`, and for one without files.
    """
    present = class_names(folder, kind)
    unknown = [name for name in present if name not in classes]
    if unknown:
        raise DataError(
            f"`{folder}` has classes that the training {kind.noun} lack: {listed(unknown)}",
            f"remove or rename {shlex.quote(str(folder / unknown[0]))}",
        )
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        if name not in present:
            continue
        found = files_of(kind, folder / name)
        if not found:
            raise DataError(
                f"class folder `{folder / name}` has no {kind.noun} ({', '.join(sorted(kind.extensions))})",
                f"add {kind.noun}, or remove it: rm -r {shlex.quote(str(folder / name))}",
            )
        paths += found
        labels += [label] * len(found)
    return paths, torch.tensor(labels, dtype=torch.int64)


def files_of(kind: Kind, folder: Path) -> list[str]:
    """The files of that kind under `folder`, at any depth, ascending."""
    found = []
    try:
        for parent, folders, files in os.walk(folder, onerror=stop, followlinks=True):
            folders[:] = [name for name in folders if not name.startswith(".")]
            found += [
                str(Path(parent, name))
                for name in files
                if not name.startswith(".") and Path(name).suffix.lower() in kind.extensions
            ]
    except OSError as error:
        raise unreadable_folder(folder, error) from error
    return sorted(found)


def subfolders(folder: Path) -> list[str]:
    """The names of the folders in `folder`, ascending, hidden ones left out."""
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise unreadable_folder(folder, error) from error


def stop(error: OSError) -> None:
    """Makes os.walk raise what it would pass over: files left out unnoticed would change the result."""
    raise error


def unreadable_folder(folder: Path, error: OSError) -> DataError:
    """What to raise for a folder that cannot be listed."""
    path = str(error.filename or folder)
    return DataError(f"folder `{path}` cannot be read: {error.strerror}", f"look at it: ls -ld {shlex.quote(path)}")


def listed(names: Sequence[str]) -> str:
    """The first few names, for a message."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(f"`{name}`" for name in names[:5]) + more
