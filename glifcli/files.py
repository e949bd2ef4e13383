"""Files that are either the old or the new, never half of one."""

import contextlib
import errno
import glob
import os
from collections.abc import Iterable
from pathlib import Path

from glifcli.errors import SaveError

HINTS = {
    errno.ENOSPC: "free some space on that disk, then try again",
    errno.EDQUOT: "free some of your quota on that disk, then try again",
    errno.EFBIG: "the file is larger than the file system or a limit (`ulimit -f`) allows: write elsewhere",
    errno.EACCES: "give a folder that you may write to",
    errno.EPERM: "give a folder that you may write to",
    errno.EROFS: "the disk is read-only: give another folder",
    errno.ENOTDIR: "a part of the path is a file: give another path",
    errno.EEXIST: "a file stands where a folder is to be: give another folder",
    errno.ENOENT: "make the folder first, or give another path",
}


def save_error(path: Path, error: OSError) -> SaveError:
    """What to tell the user of a write that the system refused."""
    reason = error.strerror or str(error)
    return SaveError(f"cannot write `{path}`: {reason}", HINTS.get(error.errno or 0, "give another path"))


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces the file in one step: a temporary file beside it is written, synced and renamed.

    Whatever interrupts it, the path holds the old file in full or the new one. Raises SaveError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise save_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Makes a rename in that folder outlast a power cut, where the system can open folders."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Removes the temporary files that a killed process left of the files of those names in that folder."""
    for leftover in (path for name in names for path in folder.glob(f".{glob.escape(name)}.*.tmp")):
        with contextlib.suppress(OSError):
            leftover.unlink()


def check_writable(path: Path) -> None:
    """Raises SaveError where something new at that path could not be written. Changes nothing."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise SaveError(f"the output `{path}` is to be in `{folder}`, a file", "give a path in a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SaveError(f"the folder `{folder}` cannot be written to", "give a path in another folder")


def make_folder(path: Path) -> None:
    """Makes that folder and those above it. Raises SaveError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise save_error(path, error) from error
