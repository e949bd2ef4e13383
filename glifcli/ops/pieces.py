"""A long sequence in pieces that a kernel can unroll, the state handed from one to the next."""

from torch import Tensor

# Steps that one kernel unrolls.
UNROLLED = 8


def pieces(steps: int) -> list[tuple[int, int]]:
    """(start, stop) of the pieces of a sequence."""
    return [(start, min(start + UNROLLED, steps)) for start in range(0, steps, UNROLLED)]


def part(values: Tensor, start: int, stop: int) -> Tensor:
    """The steps from `start` up to `stop` of constants [N, T or 1, C], contiguous."""
    return (values[:, start:stop] if values.shape[1] > 1 else values).contiguous()


def span(y: Tensor, start: int, stop: int) -> Tensor:
    """The steps of a current from `start` up to `stop`, or the one step that stands for all."""
    return y[start:stop] if y.shape[0] > 1 else y
