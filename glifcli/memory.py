"""How the process holds the memory that PyTorch frees on the CPU."""

import ctypes
import sys
from typing import Any

# glibc's malloc.h: what mallopt sets, and what it is set to by default (mallopt(3)).
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
DEFAULTS = {TRIM_THRESHOLD: 128 * 1024, MMAP_THRESHOLD: 128 * 1024, MMAP_MAX: 65536}
KEPT = {TRIM_THRESHOLD: -1, MMAP_MAX: 0}


def keep_freed(keep: bool = True) -> bool:
    """Keeps freed memory for what is allocated next, or gives it back as is usual; whether that could be set.

    Usually every large tensor is fresh memory from the system, a page at a time, which costs more than filling it.
    With glibc alone; elsewhere nothing happens.
    """
    mallopt = _function("mallopt")
    if mallopt is None:
        return False
    if not keep:
        give_back()
    return all(mallopt(option, value) for option, value in (KEPT if keep else DEFAULTS).items())


def give_back() -> None:
    """Hands back to the system now what is freed and kept."""
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def _function(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
