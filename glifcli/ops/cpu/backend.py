"""The kernels of `ops/fused.py` on the CPU."""

import functools
import os
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from glifcli.ops import backends
from glifcli.ops.cpu import kernels
from glifcli.ops.fused import State
from glifcli.ops.layout import Layout, arranged, empty, laid
from glifcli.ops.pieces import UNROLLED, part, pieces, span

# Elements of one time step that are worth a thread's while, positions that are worth sums of their own, and the
# most pieces that a layer is cut into.
CHUNK, SUMMED, CHUNKS = 4096, 64, 64
NOTHING = np.zeros(1, np.float32)
# Whatever the caller's default dtype and device.
PLAIN: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
FORKED = False


class Kernel:
    """A function compiled on first use and kept on disk; where that fails, compiled for this process alone."""

    why_not_kept: str | None = None

    def __init__(self, compile_: Callable[..., Callable[..., None]], *form: Any) -> None:
        self.compile, self.form = compile_, form
        self.run: Callable[..., None] | None = None

    def __call__(self, *arguments: Any) -> None:
        """Runs it on as many threads as torch uses."""
        threads = torch.get_num_threads()
        numba.set_num_threads(max(1, min(threads, numba.config.NUMBA_NUM_THREADS)))
        with one_at_a_time():
            if self.run is not None:
                self.run(*arguments)
                return
            self.run = self._first(arguments)
            # When Numba starts its threads it sets the number of OpenMP's, which are torch's too.
            torch.set_num_threads(threads)

    def _first(self, arguments: tuple[Any, ...]) -> Callable[..., None]:
        try:
            run = self.compile(*self.form, cache=True)
            run(*arguments)
        except Exception as error:
            # A folder that cannot be written, a full disk, a file in it that is damaged: all before the kernel ran.
            Kernel.why_not_kept = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            run = self.compile(*self.form, cache=False)
            run(*arguments)
        return run


LOCK = threading.Lock()


def one_at_a_time() -> Any:
    """A lock where Numba's threads can serve one caller only, as with its own work queue."""
    try:
        return nullcontext() if numba.threading_layer() in ("omp", "tbb") else LOCK
    except ValueError:  # nothing ran yet
        return LOCK


kernel = functools.cache(Kernel)


def flat(x: Tensor) -> np.ndarray[Any, Any]:
    """The elements of a dense tensor in the order of memory; bfloat16 as uint16."""
    elements = x.detach().resolve_neg().as_strided((x.numel(),), (1,))
    return (elements.view(torch.uint16) if x.dtype == torch.bfloat16 else elements).numpy()


def chunks_of(layout: Layout) -> int:
    """In how many pieces a layer is done that needs no sums: a matter of its size alone."""
    return max(1, min(CHUNKS, layout.rows, layout.rows * layout.length // CHUNK))


def sum_chunks_of(layout: Layout) -> int:
    """In how many pieces, of each block of channels, a layer is done that needs sums."""
    blocks = -(-layout.channels // kernels.channels_a_block(layout.over_channels))
    return max(1, min(layout.outer, layout.outer * layout.inner // SUMMED, CHUNKS // blocks))


def sizes(layout: Layout) -> tuple[int, int, int]:
    """The layout's sizes as the kernels take them."""
    return layout.outer, layout.channels, layout.inner


def form_of(ys: list[Tensor], steps: int, steady: Tensor, layout: Layout, carried: bool) -> tuple[Any, ...]:
    """What a kernel is compiled for; see `lanes.Form`."""
    timed, repeats = steady.shape[1] > 1, ys[0].shape[0] == 1
    return steps, len(ys), layout.over_channels, timed, repeats and steps > 1, carried


def arrays_of(
    ys: list[Tensor], steady: Tensor, drive: Tensor, state: State | None, start: int, stop: int
) -> list[np.ndarray[Any, Any]]:
    """What every kernel of the recurrence reads over those steps: inputs, constants, the state before if any."""
    inputs = [flat(span(y, start, stop)) for y in ys]
    constants = [flat(part(values, start, stop)) for values in (steady, drive)]
    # The first input stands in for a second that is not there.
    return [inputs[0], inputs[-1], *constants, *arrays_of_state(state)]


def arrays_of_state(state: State | None) -> list[np.ndarray[Any, Any]]:
    """Membrane and last spike as a kernel takes them, where there is a state."""
    return [NOTHING, NOTHING] if state is None else [flat(value) for value in state]


def forward(
    ys: list[Tensor], drive: Tensor, steady: Tensor, state: State | None, *, keep: bool, grad: bool
) -> tuple[Tensor, State | None, list[Tensor]]:
    """See `fused.Kernels`."""
    steps = drive.shape[1]
    ys, layout = arranged(*ys)
    shape = (steps, *ys[0].shape[1:])
    spikes = empty(shape, layout, ys[0])
    # The kernels take it from one piece to the next in place.
    running = state_like(shape, layout, state) if state is not None or keep or steps > UNROLLED else None
    kept: list[Tensor] = []
    if ys[0].numel() and steps:
        for start, stop in pieces(steps):
            if grad and running is not None:
                kept += [value.clone() for value in running]
            run = kernel(kernels.compile_forward, *form_of(ys, stop - start, steady, layout, running is not None))
            arrays = arrays_of(ys, steady, drive, running, start, stop)
            run(*arrays, flat(spikes[start:stop]), *sizes(layout), chunks_of(layout))
    return spikes, running if keep else None, kept


def state_like(shape: tuple[int, ...], layout: Layout, state: State | None) -> State:
    """The state before the first step, in float32 and in that layout, to be written to."""
    like = torch.empty(0, **PLAIN)
    values = (empty((1, *shape[1:]), layout, like)[0] for _ in range(2))
    membrane, last = (x.zero_() if state is None else x.copy_(state[index]) for index, x in enumerate(values))
    return membrane, last


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
    grads = [torch.empty_like(y) for y in ys]
    carried = bool(kept)
    ends = state_like((1, *ys[0].shape[1:]), layout, grad_state) if carried else None
    sums, steady_sums = torch.zeros_like(drive), torch.zeros_like(steady)
    if not ys[0].numel() or not steps:
        return [grad.zero_() for grad in grads], sums, steady_sums, grad_state
    chunks = sum_chunks_of(layout)
    repeats = ys[0].shape[0] == 1 and steps > 1
    totals_of_repeats = [torch.zeros_like(y, dtype=torch.float32) for y in ys] if repeats and steps > UNROLLED else []
    for index, (start, stop) in reversed(list(enumerate(pieces(steps)))):
        length, timed = stop - start, steady.shape[1] > 1
        rows = len(drive) * length
        totals = np.zeros((chunks, rows + 4 * (length if timed else 1), channels))
        outs = [flat(span(grad, start, stop)) for grad in grads]
        before = (kept[2 * index], kept[2 * index + 1]) if carried else None
        run = kernel(kernels.compile_backward, *form_of(ys, length, steady, layout, carried), surrogate)
        run(
            *arrays_of(ys, steady, drive, before, start, stop),
            flat(grad_spikes[start:stop]),
            outs[0],
            outs[-1],
            *arrays_of_state(ends),
            totals,
            *sizes(layout),
            chunks,
        )
        for total, grad in zip(totals_of_repeats, grads, strict=False):
            total += grad
        total = torch.from_numpy(totals).sum(0).float()
        sums[:, start:stop] = total[:rows].view(len(drive), length, channels)
        of_steady = total[rows:].view(4, -1, channels)
        if timed:
            steady_sums[:, start:stop] = of_steady
        else:
            steady_sums += of_steady
    for total, grad in zip(totals_of_repeats, grads, strict=False):
        grad.copy_(total)
    return grads, sums, steady_sums, ends


def moments(y: Tensor) -> tuple[Tensor, Tensor]:
    """See `fused.Kernels`."""
    (y,), layout = arranged(y)
    # Distances are taken from a few elements' mean, so that a mean far from 0 costs no precision.
    first = y[0, 0].reshape(layout.channels, -1)
    pivot = first[:, :: max(1, first.shape[1] // 16)].float().mean(1)
    whole = replace(layout, outer=y.shape[0] * layout.outer)
    chunks = sum_chunks_of(whole)
    totals = np.zeros((chunks, 2, layout.channels))
    run = kernel(kernels.compile_moments, layout.over_channels)
    run(flat(y), flat(pivot), totals, *sizes(whole), chunks)
    # A network that diverged has NaN in it, which is not this function's to tell.
    with np.errstate(invalid="ignore", over="ignore"):
        distance, square = totals.sum(0) / (y.numel() // layout.channels)
        variance = torch.from_numpy((square - distance * distance).astype(np.float32)).clamp_(min=0)
    return pivot + torch.from_numpy(distance.astype(np.float32)), variance


def add_affine(grad: Tensor, y: Tensor, scale: Tensor, shift: Tensor) -> None:
    """See `fused.Kernels`."""
    (same, y), layout = arranged(grad, y)
    whole = replace(layout, outer=y.shape[0] * layout.outer)
    run = kernel(kernels.compile_affine, layout.over_channels)
    run(flat(same), flat(y), flat(scale.contiguous()), flat(shift.contiguous()), *sizes(whole), chunks_of(whole))
    if same is not grad:
        grad.copy_(same)


def check() -> None:
    """Raises an error where these kernels cannot run, by running one."""
    if FORKED:
        raise RuntimeError("this process was forked from one that ran kernels, which OpenMP does not survive")
    grad, y, one = torch.zeros(1, 1, 1, **PLAIN), torch.ones(1, 1, 1, **PLAIN), torch.ones(1, **PLAIN)
    add_affine(grad, y, one, one)
    if grad.item() != 2:
        raise RuntimeError(f"a kernel gave {grad.item()} for 2")


def mark_forked() -> None:
    """In a process forked from one that ran kernels: from now on these cannot run."""
    global FORKED
    FORKED = True
    backends.load.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=mark_forked)


def told() -> str:
    """Where compiled kernels are kept, or why they are not."""
    why = Kernel.why_not_kept
    if why is None:
        try:
            run: Any = kernels.compile_affine(True, cache=True)
            return f"compiled kernels are kept in {run.stats.cache_path}"
        except Exception as error:  # no place to keep them, or no compiler
            why = str(error)
    return f"kernels are compiled in every process anew and not kept: {why}"
