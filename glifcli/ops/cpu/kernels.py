"""Loops over pixels and channels around the vectors of `lanes.py`, compiled by Numba and kept on disk.

An array of T steps is seen as [T, rows, length], `length` neighbouring elements to a row: the channels of a pixel
(channels_last), or the space of one channel. `chunks` run in parallel. How many there are follows from the shape
alone, so that sums do not depend on the number of threads. Sums are taken in float32 over a tile of rows, and over
tiles in float64.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite.binding import get_host_cpu_features
from numba import njit, prange

from glifcli.ops.cpu.lanes import affine_lanes, backward_lanes, forward_lanes, moment_lanes

LANES = 16 if get_host_cpu_features().get("avx512f") else 8
# Elements of a row taken together: what a thread then holds, sums and constants, stays in its L1 and L2 caches.
BLOCK = 128
# Rows whose sums are taken in float32.
TILE = 128


def compile_forward(
    steps: int, branches: int, over_channels: bool, timed: bool, repeats: bool, carried: bool, cache: bool
) -> Callable[..., None]:
    """The kernel that writes spikes, and the state where it is carried; see `lanes.Form`."""

    @njit(parallel=True, nogil=True, cache=cache)  # type: ignore[untyped-decorator]
    def forward(
        y1: Any, y2: Any, steady: Any, drive: Any, membrane: Any, last: Any, spikes: Any,
        rows: int, length: int, channels: int, chunks: int,
    ) -> None:  # fmt: skip
        stride = rows * length
        whole = length - length % LANES
        for chunk in prange(chunks):
            for row in range(chunk * rows // chunks, (chunk + 1) * rows // chunks):
                start = row * length
                for i in range(0, whole, LANES):
                    forward_lanes(
                        LANES, steps, branches, over_channels, timed, repeats, carried,
                        y1, y2, steady, drive, membrane, last, start + i, stride,
                        i if over_channels else row % channels, channels, spikes,
                    )  # fmt: skip
                for i in range(whole, length):
                    forward_lanes(
                        1, steps, branches, over_channels, timed, repeats, carried,
                        y1, y2, steady, drive, membrane, last, start + i, stride,
                        i if over_channels else row % channels, channels, spikes,
                    )  # fmt: skip

    return forward


def compile_backward(
    steps: int,
    branches: int,
    over_channels: bool,
    timed: bool,
    repeats: bool,
    carried: bool,
    surrogate: str,
    cache: bool,
) -> Callable[..., None]:
    """The kernel that writes the inputs' gradients and adds to `totals`, float64 [chunks, rows, C]."""
    sum_rows = (1 + branches) * steps + 4 * (steps if timed else 1)

    @njit(parallel=True, nogil=True, cache=cache)  # type: ignore[untyped-decorator]
    def backward(
        y1: Any, y2: Any, steady: Any, drive: Any, membrane: Any, last: Any,
        grad_spikes: Any, grad_y1: Any, grad_y2: Any, grad_membrane: Any, grad_last: Any,
        totals: Any, rows: int, length: int, channels: int, chunks: int,
    ) -> None:  # fmt: skip
        stride = rows * length
        for chunk in prange(chunks):
            sums = np.zeros(sum_rows * BLOCK, np.float32)
            low, high = chunk * rows // chunks, (chunk + 1) * rows // chunks
            tile = TILE if over_channels else 1
            block = BLOCK if over_channels else length
            for begin in range(0, length, block):
                size = min(block, length - begin)
                whole = size - size % LANES
                for first in range(low, high, tile):
                    for row in range(first, min(first + tile, high)):
                        start = row * length + begin
                        channel = begin if over_channels else row % channels
                        for i in range(0, whole, LANES):
                            lane = i if over_channels else 0
                            backward_lanes(
                                LANES, steps, branches, over_channels, timed, repeats, carried, surrogate,
                                y1, y2, steady, drive, membrane, last, start + i, stride, channel + lane, channels,
                                grad_spikes, grad_y1, grad_y2, grad_membrane, grad_last, sums, lane, BLOCK,
                            )  # fmt: skip
                        for i in range(whole, size):
                            lane = i if over_channels else 0
                            backward_lanes(
                                1, steps, branches, over_channels, timed, repeats, carried, surrogate,
                                y1, y2, steady, drive, membrane, last, start + i, stride, channel + lane, channels,
                                grad_spikes, grad_y1, grad_y2, grad_membrane, grad_last, sums, lane, BLOCK,
                            )  # fmt: skip
                    for k in range(sum_rows):
                        for i in range(size if over_channels else LANES):
                            channel = begin + i if over_channels else first % channels
                            totals[chunk, k, channel] += sums[k * BLOCK + i]
                            sums[k * BLOCK + i] = 0

    return backward


def compile_moments(over_channels: bool, cache: bool) -> Callable[..., None]:
    """The kernel that adds the sums of y - pivot and of its square to `totals`, float64 [chunks, 2, C]."""

    @njit(parallel=True, nogil=True, cache=cache)  # type: ignore[untyped-decorator]
    def moments(y: Any, pivot: Any, totals: Any, rows: int, length: int, channels: int, chunks: int) -> None:
        for chunk in prange(chunks):
            sums = np.zeros(2 * BLOCK, np.float32)
            low, high = chunk * rows // chunks, (chunk + 1) * rows // chunks
            tile = TILE if over_channels else 1
            block = BLOCK if over_channels else length
            for begin in range(0, length, block):
                size = min(block, length - begin)
                whole = size - size % LANES
                for first in range(low, high, tile):
                    for row in range(first, min(first + tile, high)):
                        start = row * length + begin
                        channel = begin if over_channels else row % channels
                        for i in range(0, whole, LANES):
                            lane = i if over_channels else 0
                            moment_lanes(LANES, over_channels, y, pivot, start + i, channel + lane, sums, lane, BLOCK)
                        for i in range(whole, size):
                            lane = i if over_channels else 0
                            moment_lanes(1, over_channels, y, pivot, start + i, channel + lane, sums, lane, BLOCK)
                    for k in range(2):
                        for i in range(size if over_channels else LANES):
                            channel = begin + i if over_channels else first % channels
                            totals[chunk, k, channel] += sums[k * BLOCK + i]
                            sums[k * BLOCK + i] = 0

    return moments


def compile_affine(over_channels: bool, cache: bool) -> Callable[..., None]:
    """The kernel that adds y * scale + shift, both by channel, to a gradient."""

    @njit(parallel=True, nogil=True, cache=cache)  # type: ignore[untyped-decorator]
    def affine(
        grad: Any, y: Any, scale: Any, shift: Any, rows: int, length: int, channels: int, chunks: int
    ) -> None:
        whole = length - length % LANES
        for chunk in prange(chunks):
            for row in range(chunk * rows // chunks, (chunk + 1) * rows // chunks):
                start = row * length
                for i in range(0, whole, LANES):
                    channel = i if over_channels else row % channels
                    affine_lanes(LANES, over_channels, grad, y, scale, shift, start + i, channel)
                for i in range(whole, length):
                    channel = i if over_channels else row % channels
                    affine_lanes(1, over_channels, grad, y, scale, shift, start + i, channel)

    return affine
