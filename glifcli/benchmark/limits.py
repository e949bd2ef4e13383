"""What the machine can do at most: copy memory, and convolve."""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from glifcli.timing import alternating

# Elements of the copy: 128 MiB in float32, beyond any cache of today's processors; on a GPU four times that.
COPIED = 2**25
# The convolution: images, channels and side; ResNet-19's second stage at a batch of 64 and two time steps.
CONVOLVED = (128, 256, 16)


@dataclass(frozen=True)
class Limits:
    """copy_gb_s: GB/s read and written together. conv_*: GFLOP/s of a 3x3 convolution forward, two a MAC."""

    copy_gb_s: float
    conv_fp32_gflop_s: float
    conv_bf16_gflop_s: float


def measure_limits(device: torch.device, repeats: int) -> Limits:
    """The limits of that device, medians of alternating repeats."""
    source = torch.zeros(COPIED * (1 if device.type == "cpu" else 4), device=device)
    target = torch.zeros_like(source)
    images, channels, side = CONVOLVED
    works = {"copy": lambda: target.copy_(source)}
    with torch.inference_mode():
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            x = torch.randn(images, channels, side, side, device=device, dtype=dtype)
            x = x.contiguous(memory_format=torch.channels_last)
            weight = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
            weight = weight.contiguous(memory_format=torch.channels_last)
            works[name] = lambda x=x, weight=weight: F.conv2d(x, weight, padding=1)  # type: ignore[misc]
        seconds = alternating(works, repeats, device)
    flop = 2 * images * side * side * channels * channels * 9
    return Limits(
        copy_gb_s=2 * source.numel() * source.itemsize / seconds["copy"] / 1e9,
        conv_fp32_gflop_s=flop / seconds["fp32"] / 1e9,
        conv_bf16_gflop_s=flop / seconds["bf16"] / 1e9,
    )
