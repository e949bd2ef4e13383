"""The recurrence of `ops/reference.py` and its adjoint, as kernels for `backend.py` to launch.

A layer is cut into tiles [outer, inner] of neurons, `inner` neighbours in memory: channels of a pixel where
`over_channels`, else positions in space, and `outer` pixels or channels. A program takes one block of channels,
whose constants stay in its registers, through every n-th tile, all time steps of a tile at once: neither membrane
nor sum is in memory on the way.

Every step is rounded after each operation, in the order of the reference, so that the spikes are the reference's to
the last bit: launch with `enable_fp_fusion=False`. `fma` stands where only gradients are concerned.

Time steps are `stride` elements apart. `rows`, `length` and `channels` are those of `ops/layout.py`.
"""

import triton
import triton.language as tl

from glifcli.ops.cuda.tiles import (
    DECAY,
    GAIN,
    RESET_GATE,
    RESET_SUB,
    THRESHOLD,
    bump,
    carried,
    channels_of,
    constants_of,
    elements_of,
    offsets_of,
    place_of,
    plus,
    plus_steady,
    step,
    times,
    write,
    write_sum,
)

# A kernel is not compiled anew for another batch: how many rows there are tells nothing of addresses.
COUNTS = ["rows", "tiles"]


@triton.jit(do_not_specialize=COUNTS)
def forward(
    y1, y2, drive, steady, membrane, last, spikes, end_membrane, end_last,
    stride, rows, length, channels, tiles,
    steps: tl.constexpr, branches: tl.constexpr, timed: tl.constexpr, repeats: tl.constexpr,
    starts: tl.constexpr, ends: tl.constexpr,
    over_channels: tl.constexpr, outer: tl.constexpr, inner: tl.constexpr,
):  # fmt: skip
    """Writes the spikes, and the state after them if it `ends` in memory; `starts` from a state or from rest."""
    channel, known = channels_of(channels, over_channels, outer, inner)
    k = constants_of(drive, steady, channel, known, channels, steps, branches, timed)
    within = offsets_of(length, outer, inner)
    inputs: tl.constexpr = 1 if repeats else steps
    for tile in range(tl.program_id(1), tiles, tl.num_programs(1)):
        start, inside = place_of(tile, known, rows, length, channels, over_channels, outer, inner)
        at = start + within
        # All of them before the first spike is written: no load overtakes a store.
        x1 = elements_of(y1, at, inside, stride, inputs)
        x2 = elements_of(y2, at, inside, stride, inputs if branches == 2 else 0)
        u = carried(membrane, at, inside, starts, tl.float32, outer, inner)
        s = carried(last, at, inside, starts, tl.int1, outer, inner)
        for t in tl.static_range(steps):
            u, s = step(u, s, x1, x2, k, t, steps, branches, repeats)
            write(spikes, times(1.0, s), at, inside, stride, t)
        if ends:
            write(end_membrane, u, at, inside, stride, 0)
            write(end_last, times(1.0, s), at, inside, stride, 0)


@triton.jit(do_not_specialize=COUNTS)
def backward(
    y1, y2, drive, steady, membrane, last, grad_spikes, grad_end_membrane, grad_end_last,
    grad_y1, grad_y2, grad_membrane, grad_last, sums,
    stride, rows, length, channels, tiles,
    steps: tl.constexpr, branches: tl.constexpr, timed: tl.constexpr, repeats: tl.constexpr,
    starts: tl.constexpr, ends: tl.constexpr, surrogate: tl.constexpr,
    over_channels: tl.constexpr, outer: tl.constexpr, inner: tl.constexpr,
):  # fmt: skip
    """Writes the gradients of the inputs, and of the state before if it `starts` from one; `sums` by program.

    sums: [programs, rows, C]; the rows are those of drive, then those of steady, as `fused.Kernels` has them.
    """
    channel, known = channels_of(channels, over_channels, outer, inner)
    k = constants_of(drive, steady, channel, known, channels, steps, branches, timed)
    within = offsets_of(length, outer, inner)
    inputs: tl.constexpr = 1 if repeats else steps
    first: tl.constexpr = (1 + branches) * steps
    apart: tl.constexpr = steps if timed else 1
    count: tl.constexpr = first + 4 * apart
    totals = ()
    for _ in tl.static_range(count):
        totals = totals + (tl.zeros([outer, inner], tl.float32),)
    for tile in range(tl.program_id(1), tiles, tl.num_programs(1)):
        start, inside = place_of(tile, known, rows, length, channels, over_channels, outer, inner)
        at = start + within
        x1 = elements_of(y1, at, inside, stride, inputs)
        x2 = elements_of(y2, at, inside, stride, inputs if branches == 2 else 0)
        g = elements_of(grad_spikes, at, inside, stride, steps)
        u = carried(membrane, at, inside, starts, tl.float32, outer, inner)
        s = carried(last, at, inside, starts, tl.int1, outer, inner)
        before = ((u, s),)
        for t in tl.static_range(steps):
            before = before + (step(before[t][0], before[t][1], x1, x2, k, t, steps, branches, repeats),)
        grad_u = carried(grad_end_membrane, at, inside, ends, tl.float32, outer, inner)
        grad_s = carried(grad_end_last, at, inside, ends, tl.float32, outer, inner)
        grad_x1 = tl.zeros([outer, inner], tl.float32)
        grad_x2 = tl.zeros([outer, inner], tl.float32)
        for t in tl.static_range(steps - 1, -1, -1):
            u, s = before[t]
            distance = before[t + 1][0] - k[THRESHOLD * steps + t]
            grad_distance = (g[t].to(tl.float32) + grad_s) * bump(distance, surrogate)
            grad_u = grad_u + grad_distance
            totals = plus(totals, t, count, grad_u, 1.0)
            totals = plus(totals, steps + t, count, grad_u, x1[0 if repeats else t].to(tl.float32))
            if repeats:
                grad_x1 = tl.fma(grad_u, k[GAIN * steps + t], grad_x1)
            else:
                write(grad_y1, grad_u * k[GAIN * steps + t], at, inside, stride, t)
            if branches == 2:
                totals = plus(totals, 2 * steps + t, count, grad_u, x2[0 if repeats else t].to(tl.float32))
                if repeats:
                    grad_x2 = tl.fma(grad_u, k[(GAIN + 1) * steps + t], grad_x2)
                else:
                    write(grad_y2, grad_u * k[(GAIN + 1) * steps + t], at, inside, stride, t)
            totals = plus_steady(totals, first + (t if timed else 0), apart, count, grad_u, grad_distance, u, s)
            decay, reset_gate = k[DECAY * steps + t], k[RESET_GATE * steps + t]
            grad_s = -grad_u * tl.fma(decay * reset_gate, u, k[RESET_SUB * steps + t])
            grad_u = grad_u * (decay * (1.0 - times(reset_gate, s)))
        if repeats:
            write(grad_y1, grad_x1, at, inside, stride, 0)
            if branches == 2:
                write(grad_y2, grad_x2, at, inside, stride, 0)
        if starts:
            write(grad_membrane, grad_u, at, inside, stride, 0)
            write(grad_last, grad_s, at, inside, stride, 0)
    for row in tl.static_range(count):
        write_sum(sums, totals[row], channel, known, channels, row, count, over_channels)


@triton.jit(do_not_specialize=COUNTS)
def moments(
    y, pivot, sums, rows, length, channels, tiles,
    over_channels: tl.constexpr, outer: tl.constexpr, inner: tl.constexpr,
):  # fmt: skip
    """Writes the sums by program [programs, 2, C] of y - pivot, [C], and of its square."""
    channel, known = channels_of(channels, over_channels, outer, inner)
    origin = tl.load(pivot + channel, mask=known, other=0.0)
    within = offsets_of(length, outer, inner)
    total = tl.zeros([outer, inner], tl.float32)
    square = tl.zeros([outer, inner], tl.float32)
    for tile in range(tl.program_id(1), tiles, tl.num_programs(1)):
        start, inside = place_of(tile, known, rows, length, channels, over_channels, outer, inner)
        value = tl.load(y + start + within, mask=inside, other=0.0).to(tl.float32)
        distance = tl.where(inside, value - origin, 0.0)
        total += distance
        square = tl.fma(distance, distance, square)
    write_sum(sums, total, channel, known, channels, 0, 2, over_channels)
    write_sum(sums, square, channel, known, channels, 1, 2, over_channels)


@triton.jit(do_not_specialize=COUNTS)
def add_affine(
    grad, y, scale, shift, rows, length, channels, tiles,
    over_channels: tl.constexpr, outer: tl.constexpr, inner: tl.constexpr,
):  # fmt: skip
    """Adds y times its channel's scale plus shift, both [C], to `grad`."""
    channel, known = channels_of(channels, over_channels, outer, inner)
    factor = tl.load(scale + channel, mask=known, other=0.0)
    term = tl.load(shift + channel, mask=known, other=0.0)
    within = offsets_of(length, outer, inner)
    for tile in range(tl.program_id(1), tiles, tl.num_programs(1)):
        start, inside = place_of(tile, known, rows, length, channels, over_channels, outer, inner)
        at = start + within
        value = tl.load(y + at, mask=inside, other=0.0).to(tl.float32)
        old = tl.load(grad + at, mask=inside, other=0.0).to(tl.float32)
        write(grad, old + tl.fma(value, factor, term), at, inside, 0, 0)
