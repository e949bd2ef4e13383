"""The leaky integrate-and-fire neuron (LIF) and the one with a learned time constant (PLIF)."""

import torch
from torch import Tensor

from glifcli.neurons.base import TAU, THRESHOLD, Neuron, full
from glifcli.neurons.glif import check_choice
from glifcli.ops import Constants


class LIF(Neuron):
    """LIF with nothing to learn: decay 0.25, threshold 0.5, where GLIF's own begin.

    reset="hard" sets the membrane to 0 after a spike, "soft" subtracts the threshold.
    """

    def __init__(
        self,
        channels: int,
        time_steps: int,
        *,
        reset: str = "hard",
        surrogate: str = "rectangle",
        backend: str = "auto",
    ) -> None:
        super().__init__(channels, time_steps, surrogate=surrogate, backend=backend)
        check_choice("reset", reset, ("hard", "soft"))
        self.hard_reset = reset == "hard"
        self.register_buffer("ones", torch.ones(channels), persistent=False)
        self.ones: Tensor

    def decay(self) -> Tensor:
        """Share of the membrane that stays from one step to the next, [C]."""
        return TAU * self.ones

    def initial_values(self) -> dict[str, float]:
        return {"tau": TAU, "threshold": THRESHOLD}

    def values(self) -> dict[str, Tensor]:
        return {"tau": self.decay(), "threshold": THRESHOLD * self.ones}

    def constants(self) -> Constants:
        zeros = torch.zeros_like(self.ones)
        return Constants(
            decay=self.decay(),
            leak=zeros,
            gain=self.ones,
            reset_gate=self.ones if self.hard_reset else zeros,
            reset_sub=zeros if self.hard_reset else THRESHOLD * self.ones,
            threshold=THRESHOLD * self.ones,
        )

    def behaviour(self) -> dict[str, str]:
        reset = "hard" if self.hard_reset else "soft"
        return {"leak": "exponential", "conductance": "uniform", "reset": reset}


class PLIF(LIF):
    """PLIF: LIF whose decay is learned, one for the layer (Fang et al., arXiv 2007.05785, input not scaled)."""

    def __init__(
        self,
        channels: int,
        time_steps: int,
        *,
        reset: str = "hard",
        surrogate: str = "rectangle",
        backend: str = "auto",
    ) -> None:
        super().__init__(channels, time_steps, reset=reset, surrogate=surrogate, backend=backend)
        self.tau = full((), TAU)

    def decay(self) -> Tensor:
        return torch.sigmoid(self.tau).expand(self.channels)
