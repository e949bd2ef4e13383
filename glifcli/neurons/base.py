"""What all neurons have in common: a module that turns currents into spikes by the one operator."""

import math

import torch
from torch import Tensor, nn

from glifcli.errors import ModelError
from glifcli.ops import (
    Constants,
    Current,
    Packed,
    State,
    check_backend,
    choose_backend,
    current_spikes,
    glif_sequence,
    glif_spikes,
    packed_for,
)
from glifcli.ops.surrogate import find

# Values at the start of training, after the sigmoid (arXiv 2210.13768, section 4 and its released code).
TAU, THRESHOLD, RESET, CONDUCTANCE = 0.25, 0.5, 0.5, 0.5


def logit(value: float) -> float:
    """The number whose sigmoid is `value`."""
    return math.log(value / (1 - value))


class Neuron(nn.Module):
    """A layer of spiking neurons: currents [T, B, C, *space] in, spikes of that shape, dtype and layout out.

    A subclass holds the parameters and makes `constants`. The state between calls is returned by `sequence`,
    never kept: every call of the module starts from rest.
    """

    def __init__(self, channels: int, time_steps: int, *, surrogate: str, backend: str) -> None:
        super().__init__()
        if channels < 1 or time_steps < 1:
            raise ModelError(
                f"a neuron layer with {channels} channels and {time_steps} time steps",
                "both are 1 or more",
            )
        find(surrogate)
        check_backend(backend)
        self.channels = channels
        self.time_steps = time_steps
        self.surrogate = surrogate
        self.backend = backend

    def constants(self) -> Constants:
        """The constants of the operator, each [C] or [T, C], differentiable by the parameters."""
        raise NotImplementedError

    def values(self) -> dict[str, Tensor]:
        """What the neuron learned or was given, by name, after the sigmoid: each [C], or [T, C] by time step."""
        raise NotImplementedError

    def timed(self) -> tuple[str, ...]:
        """The names of the parameters that go by time step, the first dimension of each."""
        return ()

    def initial_values(self) -> dict[str, float]:
        """What `values` held on average before training."""
        raise NotImplementedError

    def behaviour(self) -> dict[str, str]:
        """The nearest named behaviour of its leak, its conductance and its reset."""
        raise NotImplementedError

    def forward(self, x: Tensor | Current) -> Tensor:
        """Spikes of a whole sequence from rest. Raises ModelError where T, C or the rank does not fit.

        A Current, which is a sum not carried out, is for a fused backend.
        """
        if len(x.shape) >= 3 and x.shape[0] != self.time_steps:
            raise ModelError(
                f"the input has {x.shape[0]} time steps, the neuron {self.time_steps}",
                "the input's first dimension is time: [T, B, C, *space]",
            )
        self._check_channels(x)
        if isinstance(x, Current):
            backend = self.chosen_backend(x.branches[0].y)
            return current_spikes(x, self.pack(x), surrogate=self.surrogate, backend=backend)
        return glif_spikes(x, self.constants(), surrogate=self.surrogate, backend=self.backend)

    def pack(self, current: Current) -> Packed:
        """The constants as a fused backend reads them, with the branches' scales and shifts taken in."""
        return packed_for(current, self.constants())

    def chosen_backend(self, x: Tensor) -> str:
        """The backend that currents such as `x` run on. Raises ModelError where the neuron's own cannot."""
        return choose_backend(self.backend, x.device, x.dtype)

    def sequence(self, x: Tensor, state: State | None = None, first_step: int = 0) -> tuple[Tensor, State]:
        """(spikes, state) of the piece of a sequence that begins at time step `first_step` in the given state."""
        self._check_channels(x)
        last_step = first_step + x.shape[0]
        if first_step < 0 or last_step > self.time_steps:
            raise ModelError(
                f"the input covers the time steps {first_step} to {last_step}, the neuron has {self.time_steps}",
                "begin at an earlier `first_step`, or give fewer time steps",
            )
        constants = self.constants().steps(first_step, last_step)
        return glif_sequence(x, constants, state, surrogate=self.surrogate, backend=self.backend)

    def _check_channels(self, x: Tensor | Current) -> None:
        if len(x.shape) < 3 or x.shape[2] != self.channels:
            raise ModelError(
                f"the input has shape {list(x.shape)}, the neuron {self.channels} channels in the third "
                "dimension of three or more",
                "give it the shape [T, B, C, *space]: time steps, batch, channels, then space if any",
            )

    def extra_repr(self) -> str:
        return f"{self.channels}, time_steps={self.time_steps}, surrogate={self.surrogate!r}"


def per_channel(value: Tensor, channels: int, *, timed: bool) -> Tensor:
    """A parameter of a channel or of a layer as [C], or [T, C] where it is `timed`."""
    per_layer = value.dim() == int(timed)
    return value.unsqueeze(-1).expand(*value.shape, channels) if per_layer else value


def full(shape: tuple[int, ...], value: float) -> nn.Parameter:
    """A parameter of logits whose sigmoid is `value`."""
    return nn.Parameter(torch.full(shape, logit(value)))
