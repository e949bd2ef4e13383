"""Which neuron a network has, and its settings."""

from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class NeuronConfig:
    """The neuron of every spiking layer.

    share: parameters for each channel or one for the layer. time_wise: tau, threshold, leak and reset for each
    time step too. mode: gates between 0 and 1, or rounded with a straight-through gradient. frozen_gates: gates
    stay as they began. reset: to 0, or by the threshold (`lif` and `plif`; GLIF learns it).
    """

    name: str = "glif"
    share: Literal["channel", "layer"] = "channel"
    time_wise: bool = False
    mode: Literal["soft", "hard"] = "soft"
    frozen_gates: bool = False
    reset: Literal["hard", "soft"] = "hard"
    surrogate: Literal["rectangle", "triangle", "arctan", "sigmoid"] = "rectangle"


# The settings that each neuron reads; another one set away from its default is a mistake.
SETTINGS: dict[str, frozenset[str]] = {
    "glif": frozenset({"share", "time_wise", "mode", "frozen_gates", "surrogate"}),
    "glif-f": frozenset({"share", "surrogate"}),
    "lif": frozenset({"reset", "surrogate"}),
    "plif": frozenset({"reset", "surrogate"}),
}


def unread_settings(config: NeuronConfig) -> list[str]:
    """The settings given a value that the neuron of that name, a known one, does not read."""
    default = NeuronConfig()
    names = NeuronConfig.__dataclass_fields__.keys() - {"name"} - SETTINGS[config.name]
    return sorted(name for name in names if getattr(config, name) != getattr(default, name))
