"""The kernels of `ops/fused.py` on an NVIDIA GPU."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
import triton
from torch import Tensor

from glifcli.ops.cuda import kernels
from glifcli.ops.fused import State
from glifcli.ops.layout import Layout, arranged, empty, laid
from glifcli.ops.pieces import UNROLLED, part, pieces, span

# On an H100 four steps back take some 190 registers a thread: room for 5 programs of 64 threads, or for 2 of 128.
WARPS = 2
# The most programs that a layer is cut into, fewer where each writes sums, and the tiles worth one's while. None of
# them follows the GPU, so that sums are the same on any.
PROGRAMS, SUMMING_PROGRAMS, TILES = 4096, 1024, 8
# The wider and the narrower row of a tile, 256 and 128 bytes in bfloat16.
WIDE, NARROW = 128, 64
# Elements to a thread where there are no constants of many steps to hold: several loads of 16 bytes at once.
STREAMED = 32
NO_STATE = (None, None)


@dataclass(frozen=True)
class Tiling:
    """How a layer is cut: tiles [outer, inner], `tiles` of them to a block of channels; programs (blocks, of each)."""

    layout: Layout
    outer: int
    inner: int
    tiles: int
    programs: tuple[int, int]


def tiling_of(layout: Layout, held: int, programs: int) -> Tiling:
    """The tiling with `held` elements to a thread and at most so many programs; a matter of the layer's size alone."""
    size = held * 32 * WARPS
    inner = min(size, width_of(layout.length))
    outer = min(size // inner, triton.next_power_of_2(layout.rows if layout.over_channels else layout.channels))
    across = triton.cdiv(layout.length, inner)
    if layout.over_channels:
        blocks, tiles = across, triton.cdiv(layout.rows, outer)
    else:
        blocks, tiles = triton.cdiv(layout.channels, outer), layout.rows // layout.channels * across
    return Tiling(layout, outer, inner, tiles, (blocks, max(1, min(tiles // TILES, programs // blocks))))


def width_of(length: int) -> int:
    """The width of tiles for rows of that length: of the two the one that wastes less, or what a short row needs."""
    widths = [width for width in (WIDE, NARROW) if width <= length] or [triton.next_power_of_2(length)]
    return min(widths, key=lambda width: triton.cdiv(length, width) * width)


def held_with(rows: int) -> int:
    """Elements to a thread that leave its registers room for that many constants, and as many sums, to each.

    By what ptxas reports for compute capability 9.0: nothing is spilled.
    """
    return next(held for most, held in ((6, 8), (12, 4), (24, 2), (rows, 1)) if rows <= most)


def launch(kernel: Any, tiling: Tiling, first: Tensor, *arguments: Any, **form: Any) -> None:
    """Runs a kernel on the device of its first argument; `form` is what it is compiled for, the tiling apart."""
    layout = tiling.layout
    with torch.cuda.device_of(first):
        kernel[tiling.programs](
            first, *arguments, layout.rows, layout.length, layout.channels, tiling.tiles, **form,
            over_channels=layout.over_channels, outer=tiling.outer, inner=tiling.inner,
            num_warps=WARPS, enable_fp_fusion=False,
        )  # fmt: skip


def two(tensors: list[Tensor]) -> tuple[Tensor, Tensor | None]:
    """One or two tensors as two, None for one that is not there."""
    return tensors[0], tensors[1] if len(tensors) > 1 else None


def form_of(ys: list[Tensor], steps: int, steady: Tensor) -> dict[str, Any]:
    """What a kernel of the recurrence is compiled for; `steps` of a piece."""
    repeats = ys[0].shape[0] == 1 and steps > 1
    return {"steps": steps, "branches": len(ys), "timed": steady.shape[1] > 1, "repeats": repeats}


def rows_of(ys: list[Tensor], steps: int, steady: Tensor) -> int:
    """Constants to each channel over that many steps, and sums for them."""
    return (1 + len(ys)) * steps + 4 * (steps if steady.shape[1] > 1 else 1)


def whole(y: Tensor, layout: Layout) -> Layout:
    """The layout with all time steps of y as one."""
    return replace(layout, outer=y.shape[0] * layout.outer)


def state_like(x: Tensor, layout: Layout) -> State:
    """An unfilled state [1, B, C, *space] for a sequence like x."""
    shape, plain = (1, *x.shape[1:]), x.new_empty(0, dtype=torch.float32)
    return empty(shape, layout, plain), empty(shape, layout, plain)


def laid_state(state: State, layout: Layout) -> State:
    """A state [B, C, *space] as [1, B, C, *space] in that layout."""
    return laid(state[0].unsqueeze(0), layout), laid(state[1].unsqueeze(0), layout)


def bare(state: State | None) -> State | None:
    """A state [1, B, C, *space] as [B, C, *space]."""
    return None if state is None else (state[0][0], state[1][0])


def forward(
    ys: list[Tensor], drive: Tensor, steady: Tensor, state: State | None, *, keep: bool, grad: bool
) -> tuple[Tensor, State | None, list[Tensor]]:
    """See `fused.Kernels`; kept are the states before the pieces, but for a first piece from rest."""
    steps = drive.shape[1]
    ys, layout = arranged(*ys)
    spikes = empty((steps, *ys[0].shape[1:]), layout, ys[0])
    if not spikes.numel():
        first, second = state or (spikes.new_zeros(spikes.shape[1:], dtype=torch.float32) for _ in range(2))
        return spikes, (first.clone(), second.clone()) if keep else None, [*(state or ())]
    before = None if state is None else laid_state(state, layout)
    kept: list[Tensor] = []
    for start, stop in pieces(steps):
        if grad:
            kept += before or ()
        after = state_like(spikes, layout) if keep or stop < steps else None
        launch(
            kernels.forward, tiling_of(layout, held_with(rows_of(ys, stop - start, steady)), PROGRAMS),
            *two([span(y, start, stop) for y in ys]), part(drive, start, stop), part(steady, start, stop),
            *(before or NO_STATE), spikes[start:stop], *(after or NO_STATE), spikes[0].numel(),
            **form_of(ys, stop - start, steady), starts=before is not None, ends=after is not None,
        )  # fmt: skip
        before = after
    return spikes, bare(before), kept


def backward(
    ys: list[Tensor],
    drive: Tensor,
    steady: Tensor,
    kept: list[Tensor],
    grad_spikes: Tensor,
    grad_state: State | None,
    surrogate: str,
) -> tuple[list[Tensor], Tensor, Tensor, State | None]:
    """See `fused.Kernels`."""
    steps, channels = drive.shape[1:]
    ys, layout = arranged(*ys)
    grad_spikes = laid(grad_spikes, layout)
    drive_sums, steady_sums = torch.zeros_like(drive), torch.zeros_like(steady)
    if not grad_spikes.numel():
        return [torch.zeros_like(y) for y in ys], drive_sums, steady_sums, grad_state if kept else None
    befores = [None] * (len(pieces(steps)) - len(kept) // 2) + list(zip(kept[::2], kept[1::2], strict=True))
    after = None if grad_state is None else laid_state(grad_state, layout)
    # One gradient from several pieces is summed in float32.
    summed = ys[0].shape[0] == 1 and steps > UNROLLED
    grads = [empty(y.shape, layout, drive if summed else y) for y in ys]
    totals = [torch.zeros_like(grad) for grad in grads] if summed else grads
    for (start, stop), before in reversed(list(zip(pieces(steps), befores, strict=True))):
        rows = rows_of(ys, stop - start, steady)
        tiling = tiling_of(layout, held_with(rows), SUMMING_PROGRAMS)
        sums = drive.new_empty(tiling.programs[1], rows, channels)
        ahead = None if before is None else state_like(grad_spikes, layout)
        launch(
            kernels.backward, tiling,
            *two([span(y, start, stop) for y in ys]), part(drive, start, stop), part(steady, start, stop),
            *(before or NO_STATE), grad_spikes[start:stop], *(after or NO_STATE),
            *two([span(grad, start, stop) for grad in grads]), *(ahead or NO_STATE), sums, grad_spikes[0].numel(),
            **form_of(ys, stop - start, steady), starts=before is not None, ends=after is not None,
            surrogate=surrogate,
        )  # fmt: skip
        after = ahead
        if summed:
            totals = [total.add_(grad) for total, grad in zip(totals, grads, strict=True)]
        total = sums.sum(0, dtype=torch.float64).float()
        first = (1 + len(ys)) * (stop - start)
        drive_sums[:, start:stop] = total[:first].view(1 + len(ys), -1, channels)
        of_steady = steady_sums[:, start:stop] if steady.shape[1] > 1 else steady_sums
        of_steady += total[first:].view(4, -1, channels)
    return [total.to(y.dtype) for total, y in zip(totals, ys, strict=True)], drive_sums, steady_sums, bare(after)


def moments(y: Tensor) -> tuple[Tensor, Tensor]:
    """See `fused.Kernels`; both NaN for an empty y."""
    (y,), layout = arranged(y)
    channels = y.shape[2]
    if not y.numel():
        none = y.new_full((channels,), math.nan, dtype=torch.float32)
        return none, none.clone()
    # Distances are taken from an element of the channel, so that a mean far from 0 costs no precision.
    pivot = y[0, 0].reshape(channels, -1)[:, 0].float().contiguous()
    tiling = tiling_of(whole(y, layout), STREAMED, SUMMING_PROGRAMS)
    sums = pivot.new_empty(tiling.programs[1], 2, channels)
    launch(kernels.moments, tiling, y, pivot, sums)
    distance, square = sums.sum(0, dtype=torch.float64) / (y.numel() // channels)
    return (pivot + distance).float(), (square - distance.square()).clamp_(min=0).float()


def add_affine(grad: Tensor, y: Tensor, scale: Tensor, shift: Tensor) -> None:
    """See `fused.Kernels`."""
    (same, y), layout = arranged(grad, y)
    if not same.numel():
        return
    tiling = tiling_of(whole(y, layout), STREAMED, PROGRAMS)
    launch(kernels.add_affine, tiling, same, y, scale.float().contiguous(), shift.float().contiguous())
    if same is not grad:
        grad.copy_(same)


def check() -> None:
    """Raises an error where these kernels cannot run: no GPU, no compiler for the launcher, nowhere to keep it."""
    if not torch.cuda.is_available():
        raise RuntimeError("no CUDA device")
    grad, y, one = torch.zeros(1, 1, 1, device="cuda"), torch.ones(1, 1, 1, device="cuda"), torch.ones(1, device="cuda")
    add_affine(grad, y, one, one)
    if grad.item() != 2:
        raise RuntimeError(f"a kernel on {torch.cuda.get_device_name()} gave {grad.item()} for 2")


def told() -> str:
    """What runs them."""
    return f"Triton {triton.__version__}, compiled kernels are kept in {triton.knobs.cache.dir}"
