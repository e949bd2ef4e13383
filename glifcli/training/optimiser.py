"""Which parameter learns how fast, and how that changes over the steps."""

import math
from collections.abc import Iterator

import torch
from torch import nn

from glifcli.models.network import SpikingNetwork
from glifcli.models.tdbn import TdBN
from glifcli.neurons.base import Neuron
from glifcli.neurons.glif import GATES, GLIF
from glifcli.recipe import Optim


def make_optimiser(model: SpikingNetwork, settings: Optim) -> torch.optim.Optimizer:
    """The optimiser, with a group for weights, norms, neurons and gates each, its name under "name".

    Neurons do not decay, gates learn at `gate_lr_scale` times the rate (arXiv 2210.13768, released recipe). A
    group's "base_lr" is its rate at a scale of 1.
    """
    members: dict[str, list[nn.Parameter]] = {"weights": [], "norms": [], "neurons": [], "gates": []}
    for group, parameter in grouped(model):
        members[group].append(parameter)
    rate = {"gates": settings.lr * settings.gate_lr_scale}
    decay = {"neurons": 0.0, "gates": 0.0, "norms": settings.weight_decay if settings.decay_norms else 0.0}
    groups = [
        {
            "name": name,
            "params": parameters,
            "lr": rate.get(name, settings.lr),
            "base_lr": rate.get(name, settings.lr),
            "weight_decay": decay.get(name, settings.weight_decay),
        }
        for name, parameters in members.items()
        if parameters
    ]
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr, betas=(settings.momentum, 0.999))
    return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.nesterov)


def grouped(model: SpikingNetwork) -> Iterator[tuple[str, nn.Parameter]]:
    """Every parameter that learns, with the name of its group."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            if isinstance(module, GLIF) and name in GATES:
                yield "gates", parameter
            elif isinstance(module, Neuron):
                yield "neurons", parameter
            else:
                yield "norms" if isinstance(module, TdBN) else "weights", parameter


def lr_scale(step: int, steps: int, warmup_steps: float, settings: Optim) -> float:
    """What the learning rates are multiplied by at `step`, counted from 0, of `steps`.

    cosine: from 1 to `final_lr_scale`. onecycle: up from 1/25 over the first 30 %, then down as cosine (Smith
    and Topin, arXiv 1708.07120, with PyTorch's default shape). constant: 1. Warm-up rises to it in a line.
    """
    if settings.schedule == "onecycle":
        top = 0.3 * steps
        if step < top:
            return 1 / 25 + (1 - 1 / 25) * _half_cosine(1 - step / top)
        return _down(step - top, steps - top, settings.final_lr_scale)
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if settings.schedule == "constant":
        return 1.0
    return _down(step - warmup_steps, steps - warmup_steps, settings.final_lr_scale)


def _down(step: float, steps: float, final: float) -> float:
    """From 1 at step 0 to `final` at the last."""
    return final + (1 - final) * _half_cosine(step / max(steps, 1))


def _half_cosine(part: float) -> float:
    """From 1 at 0 to 0 at 1, along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))


def set_rates(optimiser: torch.optim.Optimizer, scale: float) -> None:
    """Sets every group's learning rate to `scale` times its base."""
    for group in optimiser.param_groups:
        group["lr"] = group["base_lr"] * scale


def rates(optimiser: torch.optim.Optimizer) -> dict[str, float]:
    """Every group's learning rate by its name."""
    return {group["name"]: group["lr"] for group in optimiser.param_groups}
