"""The exponential moving average of a model's weights and running statistics."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from glifcli.models.network import SpikingNetwork


def make_average(model: SpikingNetwork, decay: float) -> AveragedModel:
    """A copy of the model that `update_parameters` moves towards it, its share of the old growing up to `decay`.

    The first update copies, the next keeps 2/11, and so on, so that a short run is not held back by its beginning.
    """
    return AveragedModel(model, multi_avg_fn=_mover(decay), use_buffers=True)


def _mover(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    @torch.no_grad()
    def move(averages: Sequence[Tensor], currents: Sequence[Tensor], updates: Tensor | int) -> None:
        count = int(updates)
        share = min(decay, (1 + count) / (10 + count))
        for average, current in zip(averages, currents, strict=True):
            if average.is_floating_point():
                average.lerp_(current.to(average.dtype), 1 - share)
            else:
                average.copy_(current)

    return move
