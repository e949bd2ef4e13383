"""Pixels or counts to network input: the mean and deviation of each channel, measured or published."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from glifcli.data.images import MEMORY_BUDGET, Images

# Images looked at, evenly spaced over the set, where all of them would not fit into memory.
SAMPLE = 10_000
# Pixels looked at in one go: 16 Mi of uint8.
CHUNK = 2**24


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, for pixels in 0..1 or counts of events."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


# github.com/pytorch/examples, imagenet/main.py.
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# The published networks are fed the counts themselves.
COUNTS = Normalisation((0.0, 0.0), (1.0, 1.0))


def normalise(pixels: Tensor, normalisation: Normalisation) -> Tensor:
    """The float32 input of a network: (pixels / 255 - mean) / std; `pixels` is uint8 [B, C, H, W].

    Counts of events, [B, T, C, H, W], are not divided by 255.
    """
    mean = torch.tensor(normalisation.mean, dtype=torch.float32, device=pixels.device).view(-1, 1, 1)
    std = torch.tensor(normalisation.std, dtype=torch.float32, device=pixels.device).view(-1, 1, 1)
    images = pixels.to(torch.float32, copy=True)
    if images.dim() == 4:
        images.div_(255)
    return images.sub_(mean).div_(std)


def measure(images: Images) -> Normalisation:
    """The normalisation of `images`; of 10,000 evenly spaced ones where all would not fit into memory.

    Pixels are counted by value, so the result depends on neither order nor chunk; a channel of one value
    throughout gets a deviation of 1.
    """
    size = math.prod(images.shape)
    if len(images) * size > MEMORY_BUDGET and len(images) > SAMPLE:
        images = images.pick(torch.arange(SAMPLE) * len(images) // SAMPLE)
    channels = images.shape[0]
    counts = torch.zeros(channels, 256, dtype=torch.int64)
    for indices in torch.arange(len(images)).split(max(1, CHUNK // size)):
        pixels = images.fetch(indices)
        for channel in range(channels):
            counts[channel] += torch.bincount(pixels[:, channel].flatten(), minlength=256)
    weights = counts.to(torch.float64) / counts.sum(dim=1, keepdim=True)
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = (weights * values).sum(dim=1)
    std = (weights * (values - mean[:, None]) ** 2).sum(dim=1).sqrt()
    std = torch.where(std > 0, std, 1.0)
    return Normalisation(tuple(mean.tolist()), tuple(std.tolist()))
