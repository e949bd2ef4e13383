"""What happens to a training batch: crop, flip, policy, normalisation, Cutout, and MixUp or CutMix.

Random numbers come from torch's global CPU generator, as in torchvision's transforms, none of which uses
NumPy's or Python's: the caller seeds it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from glifcli.data.normalisation import Normalisation, normalise
from glifcli.errors import DataError
from glifcli.recipe import Augment

# Up to this side, AutoAugment takes the policy found on CIFAR-10, above it the one found on ImageNet.
CIFAR_SIDE = 64


class Augmentation:
    """Augments batches of images of one shape, as in `Images`, on a device.

    A policy runs on the CPU: it treats image after image, which no accelerator is fast at. Raises
    DataError for settings that do not fit the images.
    """

    def __init__(
        self,
        settings: Augment,
        normalisation: Normalisation,
        classes: int,
        shape: tuple[int, ...],
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.settings = settings
        self.normalisation = normalisation
        if len(shape) == 4:
            refuse_for_events(settings)
        self.policy = make_policy(settings.policy, shape)
        self.cutout = make_cutout(settings.cutout, shape)
        self.mix = make_mix(settings, classes)

    def __call__(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Network input, float32, and targets: `labels`, or float [B, classes] where images are mixed.

        `pixels` is uint8 [B, C, H, W] or counts [B, T, C, H, W], `labels` int64 [B], both on the CPU; what is
        returned is on the device.
        """
        if self.policy is None:
            pixels = pixels.to(self.device)
        if self.settings.crop_padding:
            pixels = random_crop(pixels, self.settings.crop_padding)
        if self.settings.flip:
            pixels = random_flip(pixels)
        if self.policy is not None:
            pixels = torch.stack([self.policy(image) for image in pixels])
        pixels, labels = pixels.to(self.device), labels.to(self.device)
        images = normalise(pixels, self.normalisation)
        if self.cutout is not None:
            for image in images:
                self.cutout(image)
        if self.mix is None:
            return images, labels
        mixed: tuple[Tensor, Tensor] = self.mix(images, labels)
        return mixed


def random_crop(pixels: Tensor, padding: int) -> Tensor:
    """For each image a random window of its own size, out of the image with a black border of `padding`.

    The frames of a sample of events are cut alike.

    v2.RandomCrop draws once a call and would be called once an image; this is the same for the whole batch.
    """
    count, *_, height, width = pixels.shape
    rows = torch.randint(2 * padding + 1, (count,))
    columns = torch.randint(2 * padding + 1, (count,))
    planes = pixels.flatten(1, -3)
    windows = pad(planes, (padding,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    chosen = windows[torch.arange(count, device=pixels.device), :, rows.to(pixels.device), columns.to(pixels.device)]
    return chosen.reshape_as(pixels)


def random_flip(pixels: Tensor) -> Tensor:
    """Each image mirrored left to right with probability 1/2."""
    mirrored = (torch.rand(len(pixels)) < 0.5).to(pixels.device)
    return torch.where(mirrored.view(-1, *[1] * (pixels.dim() - 1)), pixels.flip(-1), pixels)


def refuse_for_events(settings: Augment) -> None:
    """Raises DataError for a setting that is made for images."""
    for key in ("policy", "cutout", "mixup", "cutmix"):
        value, off = getattr(settings, key), getattr(Augment(), key)
        if value != off:
            raise DataError(
                f"`augment.{key}={value}` is for images, the data set is of event frames",
                f"set `augment.{key}={off}`",
            )


def make_policy(name: str, shape: tuple[int, ...]) -> Callable[[Tensor], Tensor] | None:
    """torchvision's policy with its defaults; uncovered pixels become black."""
    if name == "none":
        return None
    from torchvision.transforms import v2

    if shape[0] not in (1, 3):
        raise DataError(
            f"policy `{name}` is for images with 1 or 3 channels, not {shape[0]}", "set `augment.policy=none`"
        )
    if name == "autoaugment":
        small = max(shape[1:]) <= CIFAR_SIDE
        return v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10 if small else v2.AutoAugmentPolicy.IMAGENET)
    return {"randaugment": v2.RandAugment, "trivialaugment": v2.TrivialAugmentWide}[name]()


def make_cutout(length: int, shape: tuple[int, ...]) -> Callable[[Tensor], Tensor] | None:
    """Cutout (arXiv 1708.04552): a square of side `length` becomes 0, the mean colour, in place.

    The square lies wholly inside the image, where the paper lets it stand out over the border.
    """
    if length == 0:
        return None
    from torchvision.transforms import v2

    _, height, width = shape
    if length >= min(height, width):
        raise DataError(
            f"`augment.cutout={length}` covers images of `{width}x{height}`",
            f"set `augment.cutout={min(height, width) // 2}`",
        )
    share = length * length / (height * width)
    return v2.RandomErasing(p=1.0, scale=(share, share), ratio=(1.0, 1.0), value=0.0, inplace=True)


def make_mix(settings: Augment, classes: int) -> Callable[[Tensor, Tensor], Any] | None:
    """MixUp (arXiv 1710.09412), CutMix (arXiv 1905.04899), or one of the two at random for each batch."""
    if settings.mixup == 0 and settings.cutmix == 0:
        return None
    from torchvision.transforms import v2

    mixes: list[Any] = []
    if settings.mixup > 0:
        mixes.append(v2.MixUp(alpha=settings.mixup, num_classes=classes))
    if settings.cutmix > 0:
        mixes.append(v2.CutMix(alpha=settings.cutmix, num_classes=classes))
    return mixes[0] if len(mixes) == 1 else v2.RandomChoice(mixes)
