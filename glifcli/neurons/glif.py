"""The gated leaky integrate-and-fire neuron (GLIF) and its coarsely fused variant GLIF_f (arXiv 2210.13768)."""

from typing import Any

import torch
from torch import Tensor, nn

from glifcli.errors import ModelError
from glifcli.neurons.base import CONDUCTANCE, RESET, TAU, THRESHOLD, Neuron, full, per_channel
from glifcli.ops import Constants

GATES = ("alpha", "beta", "gamma")
MEMBRANE = ("tau", "threshold", "leak", "reset")


class Rounded(torch.autograd.Function):
    """1 above 0.5, else 0, in float32; the gradient passes straight through.

    The released code rounds anew at each time step, to float32. A gate loses nothing by it, but its gradient is
    rounded to float32 before the steps are summed; doing the same gives the release's gradients in float64 too.
    """

    @staticmethod
    def forward(ctx: Any, gate: Tensor) -> Tensor:
        return (gate > 0.5).float()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        return grad_outputs[0]


class GLIF(Neuron):
    """GLIF: three gates mix two ways each to leak, to take in current and to reset.

    alpha: exponential (1) or linear (0) leak; beta: time-dependent (1) or uniform (0) conductance; gamma: hard
    (1) or soft (0) reset. tau, threshold, leak, reset and conductance are the membrane's own. All are stored as
    logits, of shape [C], conductance [T, C]; with share="layer" [] and [T]; time_wise adds T to tau, threshold,
    leak and reset. mode="hard" rounds the gates, with a straight-through gradient to their sigmoid;
    frozen_gates leaves them without gradient. The gates' initial logits are uniform in (-0.1, 0.1), drawn from
    torch's generator, as in the paper's recipe.
    """

    def __init__(
        self,
        channels: int,
        time_steps: int,
        *,
        share: str = "channel",
        time_wise: bool = False,
        mode: str = "soft",
        frozen_gates: bool = False,
        surrogate: str = "rectangle",
        backend: str = "auto",
    ) -> None:
        super().__init__(channels, time_steps, surrogate=surrogate, backend=backend)
        check_choice("share", share, ("channel", "layer"))
        check_choice("mode", mode, ("soft", "hard"))
        self.mode = mode
        self.time_wise = time_wise
        self.initial_leak = initial_leak(time_steps)
        shape = (channels,) if share == "channel" else ()
        timed = (time_steps, *shape)
        for gate in GATES:
            logits = torch.empty(shape).uniform_(-0.1, 0.1)
            self.register_parameter(gate, nn.Parameter(logits, requires_grad=not frozen_gates))
        initial = self.initial_values()
        for name in MEMBRANE:
            self.register_parameter(name, full(timed if time_wise else shape, initial[name]))
        self.conductance = full(timed, CONDUCTANCE)

    def timed(self) -> tuple[str, ...]:
        return (*MEMBRANE, "conductance") if self.time_wise else ("conductance",)

    def initial_values(self) -> dict[str, float]:
        membrane = {
            "tau": TAU,
            "threshold": THRESHOLD,
            "leak": self.initial_leak,
            "reset": RESET,
            "conductance": CONDUCTANCE,
        }
        return {**dict.fromkeys(GATES, 0.5), **membrane}

    def gates(self) -> dict[str, Tensor]:
        """alpha, beta and gamma between 0 and 1, each [C]; rounded, [T, C] in float32, in mode "hard"."""
        soft = {
            name: per_channel(torch.sigmoid(self.get_parameter(name)), self.channels, timed=False) for name in GATES
        }
        if self.mode == "soft":
            return soft
        return {name: Rounded.apply(gate.expand(self.time_steps, -1)) for name, gate in soft.items()}

    def membrane(self) -> dict[str, Tensor]:
        """tau, threshold, leak and reset, each [C], or [T, C] where they are time-wise; conductance [T, C]."""
        timed = self.timed()
        return {
            name: per_channel(torch.sigmoid(self.get_parameter(name)), self.channels, timed=name in timed)
            for name in (*MEMBRANE, "conductance")
        }

    def values(self) -> dict[str, Tensor]:
        gates = {name: gate[0] if gate.dim() == 2 else gate for name, gate in self.gates().items()}
        return gates | self.membrane()

    def constants(self) -> Constants:
        gate, v = self.gates(), self.membrane()
        return Constants(
            decay=1 - gate["alpha"] * (1 - v["tau"]),
            leak=(1 - gate["alpha"]) * v["leak"],
            gain=1 - gate["beta"] * (1 - v["conductance"]),
            reset_gate=gate["gamma"],
            reset_sub=(1 - gate["gamma"]) * v["reset"],
            threshold=v["threshold"],
        )

    def behaviour(self) -> dict[str, str]:
        gates = self.gates()
        alpha, beta, gamma = (gates[gate].mean().item() > 0.5 for gate in GATES)
        return {
            "leak": "exponential" if alpha else "linear",
            "conductance": "time-dependent" if beta else "uniform",
            "reset": "hard" if gamma else "soft",
        }


class GLIFf(Neuron):
    """GLIF_f, the ablation that adds both ways of each kind up instead of gating them.

    u = tau u (1 - s) - leak + g_t x - r s. Parameters as in GLIF, without alpha and beta. The released networks
    carry a gamma that takes no part; it is kept, without gradient, so that their weights fit in full.
    """

    def __init__(
        self,
        channels: int,
        time_steps: int,
        *,
        share: str = "channel",
        surrogate: str = "rectangle",
        backend: str = "auto",
    ) -> None:
        super().__init__(channels, time_steps, surrogate=surrogate, backend=backend)
        check_choice("share", share, ("channel", "layer"))
        self.initial_leak = initial_leak(time_steps)
        shape = (channels,) if share == "channel" else ()
        self.gamma = nn.Parameter(torch.zeros(shape), requires_grad=False)
        initial = self.initial_values()
        for name in MEMBRANE:
            self.register_parameter(name, full(shape, initial[name]))
        self.conductance = full((time_steps, *shape), CONDUCTANCE)

    def timed(self) -> tuple[str, ...]:
        return ("conductance",)

    def initial_values(self) -> dict[str, float]:
        membrane = {"tau": TAU, "threshold": THRESHOLD, "leak": self.initial_leak, "reset": RESET}
        return {**membrane, "conductance": CONDUCTANCE}

    def values(self) -> dict[str, Tensor]:
        timed = self.timed()
        return {
            name: per_channel(torch.sigmoid(self.get_parameter(name)), self.channels, timed=name in timed)
            for name in self.initial_values()
        }

    def constants(self) -> Constants:
        v = self.values()
        return Constants(
            decay=v["tau"],
            leak=v["leak"],
            gain=v["conductance"],
            reset_gate=torch.ones_like(v["tau"]),
            reset_sub=v["reset"],
            threshold=v["threshold"],
        )

    def behaviour(self) -> dict[str, str]:
        return {"leak": "exponential", "conductance": "time-dependent", "reset": "hard"}


def initial_leak(time_steps: int) -> float:
    """The leak before training: over all steps together half the threshold."""
    return THRESHOLD / (2 * time_steps)


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises ModelError unless `value` is one of `choices`."""
    if value not in choices:
        raise ModelError(f"`{name}` is `{value}`", "give one of " + ", ".join(f"`{choice}`" for choice in choices))
