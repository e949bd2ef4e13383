"""Losses of a spiking network's logits over time."""

import torch
from torch import Tensor
from torch.nn import functional as F

from glifcli.recipe import Loss


def loss_of(logits: Tensor, targets: Tensor, settings: Loss) -> Tensor:
    """The training loss, a scalar in float32 or wider.

    logits: [T, B, classes]. targets: class indices [B], or probabilities [B, classes].
    Plain: cross-entropy of the mean logits. TET (Deng et al., arXiv 2202.11946, eq. 11 and 12): the mean over
    time of each step's cross-entropy, a share of `tet_lambda` of it replaced by the squared distance to 1.
    """
    if not settings.tet:
        return F.cross_entropy(logits.mean(0), targets, label_smoothing=settings.label_smoothing)
    repeated = targets.repeat(logits.shape[0], *[1] * (targets.dim() - 1))
    every_step = F.cross_entropy(logits.flatten(0, 1), repeated, label_smoothing=settings.label_smoothing)
    distance = F.mse_loss(logits, torch.ones_like(logits))
    return (1 - settings.tet_lambda) * every_step + settings.tet_lambda * distance
