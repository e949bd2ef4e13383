"""What the kernels are made of: where a tile lies, what is read and written of it, and one step of the recurrence."""

import triton
import triton.language as tl

# Rows of the constants in registers, each with a value a time step; GAIN of each branch in turn.
DECAY, RESET_GATE, RESET_SUB, THRESHOLD, LEAK, GAIN = (tl.constexpr(row) for row in range(6))


@triton.jit
def channels_of(channels, over_channels: tl.constexpr, outer: tl.constexpr, inner: tl.constexpr):
    """(the channels of this program's tiles, which of them there are), [1, inner] or [outer, 1]."""
    if over_channels:
        channel = tl.program_id(0) * inner + tl.arange(0, inner)[None, :]
    else:
        channel = tl.program_id(0) * outer + tl.arange(0, outer)[:, None]
    return channel, channel < channels


@triton.jit
def place_of(
    tile, known, rows, length, channels,
    over_channels: tl.constexpr, outer: tl.constexpr, inner: tl.constexpr,
):  # fmt: skip
    """(where the first element of a tile is, int64; which elements there are)."""
    if over_channels:
        row = tile * outer
        start = tl.cast(row, tl.int64) * length + tl.program_id(0) * inner
        inside = (tl.arange(0, outer)[:, None] < rows - row) & known
    else:
        blocks = tl.cdiv(length, inner)
        position = tile % blocks * inner
        first = tl.cast(tile // blocks, tl.int64) * channels + tl.program_id(0) * outer
        start = first * length + position
        inside = (tl.arange(0, inner)[None, :] < length - position) & known
    return start, inside


@triton.jit
def offsets_of(length, outer: tl.constexpr, inner: tl.constexpr):
    """Where the elements of a tile are, from its first."""
    return tl.arange(0, outer)[:, None] * length + tl.arange(0, inner)[None, :]


@triton.jit
def constants_of(
    drive, steady, channel, known, channels, steps: tl.constexpr, branches: tl.constexpr, timed: tl.constexpr
):
    """The constants of a tile's channels, row by row as they are named above, each `steps` long."""
    values = ()
    for row in tl.static_range(4 * steps if timed else 4):
        value = tl.load(steady + row * channels + channel, mask=known, other=0.0)
        for _ in tl.static_range(1 if timed else steps):
            values = values + (value,)
    for row in tl.static_range((1 + branches) * steps):
        values = values + (tl.load(drive + row * channels + channel, mask=known, other=0.0),)
    return values


@triton.jit
def elements_of(pointer, at, inside, stride, count: tl.constexpr):
    """A tile's elements at the first `count` time steps."""
    values = ()
    for t in tl.static_range(count):
        values = values + (tl.load(pointer + t * tl.cast(stride, tl.int64) + at, mask=inside, other=0.0),)
    return values


@triton.jit
def carried(pointer, at, inside, present: tl.constexpr, kind: tl.constexpr, outer: tl.constexpr, inner: tl.constexpr):
    """A tile's elements where they are `present` in memory, else zeros of that kind."""
    return tl.load(pointer + at, mask=inside, other=0.0) if present else tl.zeros([outer, inner], kind)


@triton.jit
def write(pointer, value, at, inside, stride, t: tl.constexpr):
    """Writes a tile's elements at time step t."""
    tl.store(pointer + t * tl.cast(stride, tl.int64) + at, value.to(pointer.dtype.element_ty), mask=inside)


@triton.jit
def times(value, spike):
    """value * spike; but for a state handed in, the spike is true or false."""
    return tl.where(spike, value, 0.0) if spike.dtype == tl.int1 else value * spike


@triton.jit
def step(
    membrane, spike, x1, x2, k, t: tl.constexpr, steps: tl.constexpr, branches: tl.constexpr, repeats: tl.constexpr
):
    """(membrane, spike) after time step t."""
    current = k[GAIN * steps + t] * x1[0 if repeats else t].to(tl.float32)
    if branches == 2:
        current = current + k[(GAIN + 1) * steps + t] * x2[0 if repeats else t].to(tl.float32)
    kept = k[DECAY * steps + t] * membrane * (1.0 - times(k[RESET_GATE * steps + t], spike))
    membrane = kept - k[LEAK * steps + t] + current - times(k[RESET_SUB * steps + t], spike)
    return membrane, membrane > k[THRESHOLD * steps + t]


@triton.jit
def bump(distance, surrogate: tl.constexpr):
    """The surrogate of that name, as `ops/surrogate.py` has it."""
    if surrogate == "rectangle":
        height = tl.where(tl.abs(distance) < 0.5, 1.0, 0.0)
    elif surrogate == "triangle":
        height = 1.0 - tl.abs(distance)
        height = tl.where(height < 0.0, 0.0, height)
    elif surrogate == "arctan":
        scaled = distance * 3.141592653589793
        height = 1.0 / (1.0 + scaled * scaled)
    else:
        tl.static_assert(surrogate == "sigmoid")
        value = 1.0 / (1.0 + tl.exp(-4.0 * distance))
        height = 4.0 * value * (1.0 - value)
    return height


@triton.jit
def plus(totals, row: tl.constexpr, count: tl.constexpr, grad, factor):
    """The `count` totals with grad * factor added to one."""
    values = ()
    for n in tl.static_range(count):
        values = values + (tl.fma(grad, factor, totals[n]) if n == row else totals[n],)
    return values


@triton.jit
def plus_steady(
    totals, row: tl.constexpr, apart: tl.constexpr, count: tl.constexpr, grad, grad_distance, membrane, spike
):
    """The totals with what a step adds to those of the steady constants, the first in `row`, others `apart`."""
    totals = plus(totals, row, count, grad, membrane)
    totals = plus(totals, row + apart, count, grad, times(membrane, spike))
    totals = plus(totals, row + 2 * apart, count, grad, times(1.0, spike))
    return plus(totals, row + 3 * apart, count, grad_distance, 1.0)


@triton.jit
def write_sum(
    sums, total, channel, known, channels, row: tl.constexpr, count: tl.constexpr, over_channels: tl.constexpr
):
    """Writes the sum of a tile by channel to a row of this program's part of sums [programs, count, C]."""
    value = tl.sum(total, axis=0 if over_channels else 1, keep_dims=True)
    tl.store(sums + (tl.program_id(1) * count + row) * channels + channel, value, mask=known)
