"""Fair times on a noisy machine: competitors take turns in one process, and the median of each counts."""

import math
import statistics
import time
from collections.abc import Callable, Mapping

import torch

Work = Callable[[], object]


def alternating(
    works: Mapping[str, Work],
    repeats: int,
    device: torch.device,
    before_each: Callable[[str], object] | None = None,
    limit_s: float = math.inf,
) -> dict[str, float]:
    """The median seconds of each work: all run once unmeasured, then in turn, `repeats` times each.

    before_each: is called with the name before each turn, unmeasured. limit_s: once that many seconds are measured
    no further round of turns begins.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        if sum(map(sum, times.values())) > limit_s:
            break
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
