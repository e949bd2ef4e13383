"""How the elements of a sequence lie in memory, as the kernels see it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """One step of a dense [T, B, C, *space] as [outer, channels, inner] in the order of memory.

    over_channels: the neighbour of an element is the next channel, as in channels_last; then `outer` is batch and
    space and `inner` is 1. Else `outer` is the batch and `inner` space.
    """

    over_channels: bool
    outer: int
    channels: int
    inner: int

    @property
    def rows(self) -> int:
        """Rows of neighbours: positions, or channels of each image."""
        return self.outer if self.over_channels else self.outer * self.channels

    @property
    def length(self) -> int:
        """Neighbours in a row: channels, or space."""
        return self.channels if self.over_channels else self.inner


def layout_of(x: Tensor) -> Layout | None:
    """The layout of [T, B, C, *space], None where it is neither contiguous nor channels_last.

    Where it is both, the one with more neighbours in a row.
    """
    _, batch, channels, *space = x.shape
    pixels = math.prod(space)
    by_space, by_channel = x.is_contiguous(), _channels_last(x).is_contiguous()
    if by_space and (pixels > channels or not by_channel):
        return Layout(False, batch, channels, pixels)
    return Layout(True, batch * pixels, channels, 1) if by_channel else None


def arranged(*tensors: Tensor) -> tuple[list[Tensor], Layout]:
    """The tensors [T or 1, B, C, *space] in the layout of the first that is dense, copied where they are not."""
    layouts = [layout_of(x) for x in tensors]
    chosen = next((index for index, layout in enumerate(layouts) if layout is not None), None)
    if chosen is None:
        tensors = (tensors[0].contiguous(), *tensors[1:])
        return arranged(*tensors)
    layout = layouts[chosen]
    assert layout is not None
    return [laid(x, layout) for x in tensors], layout


def laid(x: Tensor, layout: Layout) -> Tensor:
    """x in that layout, copied where it is in another."""
    return x if layout_of(x) == layout else empty(x.shape, layout, x).copy_(x)


def empty(shape: torch.Size | tuple[int, ...], layout: Layout, like: Tensor) -> Tensor:
    """An unfilled tensor [T, B, C, *space] in that layout, with the dtype and device of `like`."""
    if not layout.over_channels:
        return like.new_empty(shape)
    steps, batch, channels, *space = shape
    return like.new_empty(steps, batch, *space, channels).permute(_channels_third(len(shape)))


def _channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 1, *range(3, x.dim()), 2)


def _channels_third(rank: int) -> tuple[int, ...]:
    return 0, 1, rank - 1, *range(2, rank - 1)
