"""The per-channel constants that every leaky integrate-and-fire neuron comes down to."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from glifcli.errors import ModelError


@dataclass(frozen=True)
class Constants:
    """What the recurrence of `ops/reference.py` reads, each of shape [C], or [T, C] where it changes with time.

    decay: share of the membrane that stays; leak: what is subtracted each step; gain: what the current is
    multiplied by; reset_gate: share of the membrane that a spike removes; reset_sub: what a spike subtracts;
    threshold: what the membrane must exceed. All but decay, gain and reset_gate are in units of the membrane.
    """

    decay: Tensor
    leak: Tensor
    gain: Tensor
    reset_gate: Tensor
    reset_sub: Tensor
    threshold: Tensor

    def named(self) -> dict[str, Tensor]:
        """Every constant by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def steps(self, start: int, stop: int) -> "Constants":
        """The constants of the time steps from `start` up to `stop`, for a piece of a sequence."""
        return Constants(**{k: v[start:stop] if v.dim() == 2 else v for k, v in self.named().items()})

    def at(self, step: int) -> "Constants":
        """The constants of one time step, each [C]."""
        return Constants(**{k: v[step] if v.dim() == 2 else v for k, v in self.named().items()})

    def broadcast(self, space: int, dtype: torch.dtype) -> "Constants":
        """The constants of one time step, shaped [C, 1, ...] to meet currents [B, C, *space]."""
        return Constants(**{k: v.to(dtype).view(-1, *[1] * space) for k, v in self.named().items()})

    def check(self, time_steps: int, channels: int) -> None:
        """Raises ModelError unless every constant is [channels] or [time_steps, channels]."""
        for name, value in self.named().items():
            if tuple(value.shape) not in {(channels,), (time_steps, channels)}:
                raise ModelError(
                    f"constant `{name}` has shape {list(value.shape)}, the input has {time_steps} time steps "
                    f"and {channels} channels",
                    f"give it the shape [{channels}] or [{time_steps}, {channels}]",
                )
