"""What a layer of neurons takes in, before it is carried out: a sum of branches, each scaled and shifted."""

from dataclasses import dataclass

from torch import Tensor

from glifcli.errors import ModelError


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

    def __post_init__(self) -> None:
        """Raises ModelError for branches that do not go together."""
        first = self.branches[0].y if self.branches else None
        if first is None or len(self.branches) > 2:
            raise ModelError(f"a current of {len(self.branches)} branches", "give one or two")
        for branch in self.branches:
            y, channels = branch.y, (first.shape[2],) if first.dim() > 2 else ()
            if y.shape != first.shape or y.dim() < 3 or y.shape[0] not in (1, self.time_steps):
                shapes = f"{list(y.shape)}, the first {list(first.shape)}"
                raise ModelError(
                    f"a branch has shape {shapes}, for {self.time_steps} time steps",
                    "give all the shape [T, B, C, *space], or [1, B, C, *space] where they repeat",
                )
            if y.dtype != first.dtype or y.device != first.device:
                raise ModelError(
                    f"a branch is `{y.dtype}` on `{y.device}`, the first `{first.dtype}` on `{first.device}`",
                    "give all one dtype and device",
                )
            if branch.scale.shape != channels or branch.shift.shape != channels:
                raise ModelError(
                    f"scale and shift have shapes {list(branch.scale.shape)} and {list(branch.shift.shape)}",
                    f"give both the shape {list(channels)}",
                )

    @property
    def shape(self) -> tuple[int, ...]:
        """[T, B, C, *space]."""
        return self.time_steps, *self.branches[0].y.shape[1:]
