"""Batch norm whose output is scaled to the firing threshold (tdBN, Zheng et al., arXiv 2011.05280)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glifcli.neurons.base import THRESHOLD
from glifcli.ops import Branch, batch_moments

# Two branches that meet in a residual sum are scaled so that the sum has the variance of one.
BRANCH = 1 / math.sqrt(2)
# With this scale nothing is left of tdBN but batch norm.
PLAIN = 1 / THRESHOLD


class TdBN(nn.BatchNorm2d):
    """Batch norm over time, batch and space: the normalised value times `scale` * 0.5, then the affine part.

    scale: 1, BRANCH on both branches of a residual sum, or PLAIN for ordinary batch norm.
    """

    def __init__(self, channels: int, scale: float = 1.0) -> None:
        super().__init__(channels)
        self.scale = scale

    def forward(self, input: Tensor, repeats: int = 1) -> Tensor:
        """Output for [N, C, H, W]; with `repeats`, statistics as if the input stood that many times in the batch."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        # The running variance divides by the count less 1; that of a repeated batch is smaller by this ratio.
        count = input.numel() // input.shape[1]
        corrects = self.training and repeats > 1
        variance = self.running_var.clone() if corrects else self.running_var
        output = F.batch_norm(
            input,
            self.running_mean,
            variance,
            self.weight * (self.scale * THRESHOLD),
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )
        if self.training:
            self.num_batches_tracked.add_(1)
        if corrects:
            ratio = repeats * (count - 1) / (repeats * count - 1)
            with torch.no_grad():
                kept = (1 - self.momentum) * self.running_var
                self.running_var.copy_(kept + ratio * (variance - kept))
        return output

    def branch(self, y: Tensor, backend: str, repeats: int = 1) -> Branch:
        """The same output for y [T or 1, B, C, H, W], not carried out, for the fused backend of that name."""
        if not self.training:
            return Branch(y, *self.scale_and_shift())
        y, mean, variance = batch_moments(y, backend)
        self._follow(mean.detach(), variance.detach(), repeats * y.numel() // y.shape[2])
        return Branch(y, *self._scale_and_shift(mean, variance))

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """(scale, shift), each [C]: in eval mode the output is x * scale + shift."""
        assert self.running_mean is not None
        assert self.running_var is not None
        return self._scale_and_shift(self.running_mean, self.running_var)

    def _scale_and_shift(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        scale = self.weight * (self.scale * THRESHOLD) * torch.rsqrt(variance + self.eps)
        return scale, self.bias - mean * scale

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Moves the running statistics towards those of a batch of `count` values a channel."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        unbiased = variance * (count / max(count - 1, 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)

    def extra_repr(self) -> str:
        return f"{self.num_features}, scale={self.scale:.4g}"
