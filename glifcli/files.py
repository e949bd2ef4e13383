"""Files that are either the old or the new, never half of one."""

import contextlib
import errno
import os
from pathlib import Path

from glifcli.errors import SaveError

HINTS = {
    errno.ENOSPC: "free some space on that disk, then try again",
    errno.EDQUOT: "free some of your quota on that disk, then try again",
    errno.EFBIG: "the file is larger than the file system or a limit (`ulimit -f`) allows: write elsewhere",
    errno.EACCES: "give a folder that you may write to with `--output`",
    errno.EPERM: "give a folder that you may write to with `--output`",
    errno.EROFS: "the disk is read-only: give another folder with `--output`",
    errno.ENOTDIR: "a part of the path is a file: give another folder with `--output`",
    errno.EEXIST: "a file stands where a folder is to be: give another folder with `--output`",
    errno.ENOENT: "make the folder first, or give another with `--output`",
}


def save_error(path: Path, error: OSError) -> SaveError:
    """What to tell the user of a write that the system refused."""
    reason = error.strerror or str(error)
    return SaveError(f"cannot write `{path}`: {reason}", HINTS.get(error.errno or 0, "write elsewhere with `--output`"))


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


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files that a killed process left in that folder."""
    for leftover in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            leftover.unlink()


def make_folder(path: Path) -> None:
    """Makes that folder and those above it. Raises SaveError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise save_error(path, error) from error
