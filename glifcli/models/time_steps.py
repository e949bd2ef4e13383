"""A trained network at another number of time steps: what goes by time step is cut short, held or made anew."""

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from glifcli.errors import ModelError, nearest
from glifcli.models.network import SpikingNetwork

# What becomes of the parameters that go by time step, such as GLIF's conductance, when their number changes.
CONDUCTANCES = ("first", "hold", "linear", "mean")
# As in recipes.
MOST = 1024


@torch.no_grad()
def with_time_steps(network: SpikingNetwork, time_steps: int, conductance: str = "hold") -> SpikingNetwork:
    """A copy of the network, not a folded one, that runs that many time steps; all else in it is as it was.

    conductance: what the parameters by time step hold, where the number is another than the trained one.
    "first": the first steps' values; "hold": the same, the last one repeated for more; "linear": the values between
    the trained ones, step i of N at (i - 1) (T - 1) / (N - 1) after the first of T, a single step at the first;
    "mean": the trained steps' mean at each step. Values are meant after the sigmoid.

    Raises what `check_time_steps` raises.
    """
    trained = network.time_steps
    check_time_steps(trained, time_steps, conductance)
    network = copy.deepcopy(network)
    if time_steps == trained:
        return network
    for _, neuron in network.neurons():
        for name in neuron.timed():
            logits = neuron.get_parameter(name)
            remade = _remade(logits, time_steps, conductance)
            setattr(neuron, name, nn.Parameter(remade, requires_grad=logits.requires_grad))
    timed_modules: list[Any] = [module for module in network.modules() if hasattr(module, "time_steps")]
    for module in timed_modules:
        module.time_steps = time_steps
    return network


def check_time_steps(trained: int, time_steps: int, conductance: str) -> None:
    """Raises ModelError for a number that no network has, an unknown `conductance`, and "first" beyond the trained."""
    if not 1 <= time_steps <= MOST:
        raise ModelError(f"a network with `{time_steps}` time steps", f"give 1 or more, up to {MOST}")
    if conductance not in CONDUCTANCES:
        raise ModelError(f"`conductance` is `{conductance}`", nearest(conductance, CONDUCTANCES))
    if conductance == "first" and time_steps > trained:
        raise ModelError(
            f"`{time_steps}` time steps, and the network was trained with the conductance of `{trained}`",
            f"give at most {trained}, or repeat the last one with `--conductance hold`",
        )


def is_prefix(short: SpikingNetwork, long: SpikingNetwork) -> bool:
    """Whether `short`, the same network at no more steps, does what `long` does in its first steps.

    The spikes of a step do not depend on later ones, so one pass of `long` then has the answers of both.
    """
    if short.time_steps > long.time_steps:
        return False
    pairs = zip(short.neurons(), long.neurons(), strict=True)
    return all(
        torch.equal(a.get_parameter(name), b.get_parameter(name)[: short.time_steps])
        for (_, a), (_, b) in pairs
        for name in a.timed()
    )


def passes(networks: Iterable[SpikingNetwork]) -> list[list[SpikingNetwork]]:
    """The same network at several numbers of time steps, grouped: one pass of a group's first answers for all of it.

    A group begins with its longest, of which the others are prefixes.
    """
    groups: list[list[SpikingNetwork]] = []
    for network in sorted(networks, key=lambda network: network.time_steps, reverse=True):
        group = next((group for group in groups if is_prefix(network, group[0])), None)
        if group is None:
            groups.append([network])
        else:
            group.append(network)
    return groups


def _remade(logits: Tensor, time_steps: int, conductance: str) -> Tensor:
    """The logits [T, ...] as [time_steps, ...]."""
    last = len(logits) - 1
    if conductance == "mean":
        mean = _logits(_values(logits).mean(0), logits)
        return mean.expand(time_steps, *mean.shape).clone()
    if conductance == "linear":
        return torch.stack([_between(logits, step * last, time_steps - 1) for step in range(time_steps)])
    return logits[torch.arange(time_steps).clamp(max=last)]


def _between(logits: Tensor, numerator: int, denominator: int) -> Tensor:
    """The logits at the position numerator / denominator, interpolated as values unless it is a whole number."""
    before, rest = divmod(numerator, max(denominator, 1))
    if not rest:
        return logits[before]
    a, b = _values(logits[before : before + 2])
    return _logits(torch.lerp(a, b, rest / denominator), logits)


def _values(logits: Tensor) -> Tensor:
    return torch.sigmoid(logits.double())


def _logits(values: Tensor, like: Tensor) -> Tensor:
    """The inverse of the sigmoid, in the dtype of `like`; of 0 and 1 the nearest that are finite."""
    limits = torch.finfo(values.dtype)
    return torch.logit(values.clamp(limits.tiny, 1 - limits.eps)).to(like.dtype)
