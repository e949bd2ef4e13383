"""The memory that a piece of work takes at its peak."""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from glifcli.memory import give_back
from glifcli.timing import Work


def peak_mb(work: Work, device: torch.device) -> float | None:
    """Memory in MB (1e6 bytes) that a call takes at its peak beyond what is held before it.

    On CUDA PyTorch's own count; on the CPU that of the whole process by the kernel, on Linux only, else None.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    if device.type != "cpu" or not sys.platform.startswith("linux"):
        return None
    try:
        give_back()
        # Writing 5 sets the high-water mark back to what is resident now (proc(5)).
        Path("/proc/self/clear_refs").write_text("5")
        before_kb = _status("VmRSS")
        work()
        return (_status("VmHWM") - before_kb) * 1024 / 1e6
    except (OSError, KeyError):
        return None


def _status(key: str) -> int:
    """A line of /proc/self/status, in KiB."""
    return dict(_status_lines())[key]


def _status_lines() -> Iterator[tuple[str, int]]:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            yield name, int(value.split()[0])
