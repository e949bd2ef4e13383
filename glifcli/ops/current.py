"""What a layer of neurons takes in, before it is carried out: a sum of branches, each scaled and shifted."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Branch:
    """y * scale + shift by channel, which no tensor holds.

    y: [T, B, C, *space], or [1, B, C, *space] for one current that repeats at every step. scale, shift: [C].
    """

    y: Tensor
    scale: Tensor
    shift: Tensor


@dataclass(frozen=True)
class Current:
    """The sum of one or two branches of one shape, over `time_steps` steps."""

    branches: tuple[Branch, ...]
    time_steps: int

    @property
    def shape(self) -> tuple[int, ...]:
        """[T, B, C, *space]."""
        return self.time_steps, *self.branches[0].y.shape[1:]
