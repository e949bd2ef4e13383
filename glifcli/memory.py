"""How the process holds the memory that PyTorch frees on the CPU."""

import ctypes
import sys
from typing import Any

# What mallopt(3) sets, by glibc's malloc.h; and what glibc arrives at by itself once large tensors were freed.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
USUAL = {TRIM_THRESHOLD: 64 << 20, MMAP_THRESHOLD: 32 << 20, MMAP_MAX: 65536}
KEPT = {TRIM_THRESHOLD: -1, MMAP_MAX: 0}


def keep_freed(keep: bool = True) -> bool:
    """Keeps freed memory for what is allocated next, or gives it back as is usual; whether that could be set.

    Usually every tensor above 32 MiB is fresh memory from the system, a page at a time, which costs more than filling
    it. With glibc alone; elsewhere nothing happens.
    """
    mallopt = _function("mallopt")
    if mallopt is None:
        return False
    if not keep:
        give_back()
    return all(mallopt(option, value) for option, value in (KEPT if keep else USUAL).items())


def give_back() -> None:
    """Hands back to the system now what is freed and kept."""
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def _function(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
