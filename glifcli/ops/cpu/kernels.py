"""Loops over positions and channels around the vectors of `lanes.py`, compiled by Numba and kept on disk.

One time step is seen as [outer, channels, inner]: `inner` is 1 in channels_last, where the lanes of a vector are
channels of one position, and the size of space else, where they are positions of one channel.

What is summed over positions is done in tasks, each a block of channels and a chunk of `outer`. How they are cut
follows from the shape alone, so that sums do not depend on the number of threads. Sums are taken in float32 over a
tile, some hundred elements or those of one image, and over tiles in float64. The two kernels that sum have the same
loops, written out in each: a function that they called would be part of what Numba keeps them by, and is not stable.
"""

import inspect
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite.binding import get_host_cpu_features
from numba import njit, prange

from glifcli.ops.cpu import lanes, vectors
from glifcli.ops.cpu.lanes import affine_lanes, backward_lanes, forward_lanes, moment_lanes

# Numba keeps kernels by their own source and what they close over: this stands for the instructions they call.
STAMP = zlib.crc32("".join(map(inspect.getsource, (lanes, vectors))).encode())
LANES = 16 if get_host_cpu_features().get("avx512f") else 8
# Lanes of the sums that a task holds, so that they stay in the L1 cache.
BLOCK = 128
# Elements that are added up in float32.
TILE = 128


def channels_a_block(over_channels: bool) -> int:
    """Channels of a task: the sums have a lane for each, or a vector of lanes."""
    return BLOCK if over_channels else BLOCK // LANES


def compile_forward(
    steps: int, branches: int, over_channels: bool, timed: bool, repeats: bool, carried: bool, cache: bool
) -> Callable[..., None]:
    """The kernel that writes spikes, and the state where it is carried; see `lanes.Form`."""

    stamp = STAMP

    @njit(parallel=True, nogil=True, cache=cache)
    def forward(
        y1: Any, y2: Any, steady: Any, drive: Any, membrane: Any, last: Any, spikes: Any,
        outer: int, channels: int, inner: int, chunks: int,
    ) -> None:  # fmt: skip
        if stamp < 0:
            return
        rows, length = (outer, channels) if over_channels else (outer * channels, inner)
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
    """The kernel that writes the inputs' gradients and adds to `totals`, float64 [chunks, rows of sums, C]."""
    sum_rows = (1 + branches) * steps + 4 * (steps if timed else 1)
    width = channels_a_block(over_channels)

    stamp = STAMP

    @njit(parallel=True, nogil=True, cache=cache)
    def backward(
        y1: Any, y2: Any, steady: Any, drive: Any, membrane: Any, last: Any,
        grad_spikes: Any, grad_y1: Any, grad_y2: Any, grad_membrane: Any, grad_last: Any,
        totals: Any, outer: int, channels: int, inner: int, chunks: int,
    ) -> None:  # fmt: skip
        if stamp < 0:
            return
        stride = outer * channels * inner
        blocks = (channels + width - 1) // width
        tile = max(1, TILE if over_channels else TILE * LANES // inner)
        for task in prange(chunks * blocks):
            chunk, low_channel = task // blocks, task % blocks * width
            high_channel = min(low_channel + width, channels)
            groups, span = (1, high_channel - low_channel) if over_channels else (high_channel - low_channel, inner)
            whole = span - span % LANES
            sums = np.zeros(sum_rows * BLOCK, np.float32)
            low, high = chunk * outer // chunks, (chunk + 1) * outer // chunks
            for first in range(low, high, tile):
                for row in range(first, min(first + tile, high)):
                    for group in range(groups):
                        channel = low_channel + group
                        start = (row * channels + channel) * inner
                        for i in range(0, whole, LANES):
                            lane = i if over_channels else group * LANES
                            backward_lanes(
                                LANES, steps, branches, over_channels, timed, repeats, carried, surrogate,
                                y1, y2, steady, drive, membrane, last, start + i, stride,
                                channel + i if over_channels else channel, channels,
                                grad_spikes, grad_y1, grad_y2, grad_membrane, grad_last, sums, lane, BLOCK,
                            )  # fmt: skip
                        for i in range(whole, span):
                            lane = i if over_channels else group * LANES
                            backward_lanes(
                                1, steps, branches, over_channels, timed, repeats, carried, surrogate,
                                y1, y2, steady, drive, membrane, last, start + i, stride,
                                channel + i if over_channels else channel, channels,
                                grad_spikes, grad_y1, grad_y2, grad_membrane, grad_last, sums, lane, BLOCK,
                            )  # fmt: skip
                for k in range(sum_rows):
                    for lane in range(span if over_channels else groups * LANES):
                        channel = low_channel + (lane if over_channels else lane // LANES)
                        totals[chunk, k, channel] += sums[k * BLOCK + lane]
                sums[:] = 0

    return backward


def compile_moments(over_channels: bool, cache: bool) -> Callable[..., None]:
    """The kernel that adds the sums of y - pivot and of its square to `totals`, float64 [chunks, 2, C]."""
    width = channels_a_block(over_channels)

    stamp = STAMP

    @njit(parallel=True, nogil=True, cache=cache)
    def moments(y: Any, pivot: Any, totals: Any, outer: int, channels: int, inner: int, chunks: int) -> None:
        if stamp < 0:
            return
        blocks = (channels + width - 1) // width
        tile = max(1, TILE if over_channels else TILE * LANES // inner)
        for task in prange(chunks * blocks):
            chunk, low_channel = task // blocks, task % blocks * width
            high_channel = min(low_channel + width, channels)
            groups, span = (1, high_channel - low_channel) if over_channels else (high_channel - low_channel, inner)
            whole = span - span % LANES
            sums = np.zeros(2 * BLOCK, np.float32)
            low, high = chunk * outer // chunks, (chunk + 1) * outer // chunks
            for first in range(low, high, tile):
                for row in range(first, min(first + tile, high)):
                    for group in range(groups):
                        channel = low_channel + group
                        start = (row * channels + channel) * inner
                        for i in range(0, whole, LANES):
                            lane = i if over_channels else group * LANES
                            at = channel + i if over_channels else channel
                            moment_lanes(LANES, over_channels, y, pivot, start + i, at, sums, lane, BLOCK)
                        for i in range(whole, span):
                            lane = i if over_channels else group * LANES
                            at = channel + i if over_channels else channel
                            moment_lanes(1, over_channels, y, pivot, start + i, at, sums, lane, BLOCK)
                for k in range(2):
                    for lane in range(span if over_channels else groups * LANES):
                        channel = low_channel + (lane if over_channels else lane // LANES)
                        totals[chunk, k, channel] += sums[k * BLOCK + lane]
                sums[:] = 0

    return moments


def compile_affine(over_channels: bool, cache: bool) -> Callable[..., None]:
    """The kernel that adds y * scale + shift, both by channel, to a gradient."""

    stamp = STAMP

    @njit(parallel=True, nogil=True, cache=cache)
    def affine(grad: Any, y: Any, scale: Any, shift: Any, outer: int, channels: int, inner: int, chunks: int) -> None:
        if stamp < 0:
            return
        rows, length = (outer, channels) if over_channels else (outer * channels, inner)
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
