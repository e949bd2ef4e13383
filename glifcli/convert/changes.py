"""What may be done to a network on its way: another number of time steps, gates rounded."""

from dataclasses import dataclass, replace

import torch

from glifcli.convert.source import Source
from glifcli.errors import ModelError
from glifcli.models.registry import from_config
from glifcli.models.time_steps import with_time_steps
from glifcli.neurons.glif import GATES, GLIF


@dataclass(frozen=True)
class Rounding:
    """What became of a gate of one layer: the share of its channels at 1, and how far they moved on average."""

    layer: str
    gate: str
    ones: float
    moved: float


def at_time_steps(source: Source, time_steps: int, conductance: str) -> Source:
    """The network at that number of time steps; see `models/time_steps.py`. Raises ModelError."""
    network = with_time_steps(source.network, time_steps, conductance)
    config = replace(source.config, time_steps=time_steps)
    return replace(source, network=network, config=config, conductance=conductance)


@torch.no_grad()
def hardened(source: Source) -> tuple[Source, tuple[Rounding, ...]]:
    """The network with every gate rounded to 0 or 1, and what that did.

    The logits stay; the neurons read them in the mode "hard". Each is then a plain LIF variant: exponential or
    linear leak, time-dependent or uniform conductance, hard or soft reset. Raises ModelError where there are no
    gates, or they are rounded already.
    """
    config = source.config
    if config.neuron.name != "glif":
        raise ModelError(f"the neurons `{config.neuron.name}` have no gates to round", "leave `--harden-gates` out")
    if config.neuron.mode == "hard":
        raise ModelError("the gates are rounded already, `neuron.mode` is `hard`", "leave `--harden-gates` out")
    roundings = []
    for name, neuron in source.network.neurons():
        assert isinstance(neuron, GLIF)
        for gate, value in neuron.gates().items():
            if gate in GATES:
                ones = (value > 0.5).to(value.dtype)
                roundings.append(Rounding(name, gate, ones.mean().item(), (value - ones).abs().mean().item()))
    config = replace(config, neuron=replace(config.neuron, mode="hard"))
    with torch.random.fork_rng(devices=[]):
        network = from_config(config)
    network.load_state_dict(source.network.state_dict())
    return replace(source, network=network.eval(), config=config), tuple(roundings)
