"""Fair times on a noisy machine: competitors take turns in one process, and the median of each counts."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch

from glifcli.memory import give_back

Work = Callable[[], object]


def alternating(
    works: Mapping[str, Work],
    repeats: int,
    device: torch.device,
    before_each: Callable[[str], object] | None = None,
) -> dict[str, float]:
    """The median seconds of each work: all run once unmeasured, then in turn, `repeats` times each.

    before_each: is called with the name before each turn, unmeasured.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            if before_each is not None:
                before_each(name)
            seconds = timed(work, device)
            if turn:
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def timed(work: Work, device: torch.device) -> float:
    """Seconds that one call takes, until the device is done."""
    synchronise(device)
    start = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - start


def synchronise(device: torch.device) -> None:
    """Waits until the device has nothing left to do."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


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
