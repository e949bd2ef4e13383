"""How long one image takes."""

from collections.abc import Mapping
from contextlib import ExitStack

import torch
from torch import Tensor

from glifcli.models.network import SpikingNetwork
from glifcli.reports.inference import eval_mode, first_frames, on_device, precision, ready
from glifcli.timing import Work, alternating

# The median of that many turns a network, or of as many as begin within so many seconds.
TURNS, LIMIT_S = 9, 2.0


def latencies(
    networks: Mapping[int, SpikingNetwork], image: Tensor, *, device: torch.device, dtype: torch.dtype
) -> dict[int, float]:
    """The milliseconds that each network, by its number of time steps, takes for one image, waiting for the device.

    image: a batch of one, [1, C, H, W] or [1, T, C, H, W]. The networks run in turn, as they are evaluated: folded
    where `evaluate` folds them, and once before anything is measured.
    """
    image = on_device(image, device, dtype)
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        works: dict[str, Work] = {}
        for steps, network in networks.items():
            stack.enter_context(eval_mode(network))
            works[str(steps)] = _work(ready(network, device, dtype), first_frames(image, steps), device, dtype)
        seconds = alternating(works, TURNS, device, limit_s=LIMIT_S)
    return {steps: 1000 * seconds[str(steps)] for steps in networks}


def _work(network: SpikingNetwork, image: Tensor, device: torch.device, dtype: torch.dtype) -> Work:
    def work() -> Tensor:
        with precision(device, dtype):
            return network(image)

    return work
