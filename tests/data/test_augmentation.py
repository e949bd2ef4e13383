"""Each augmentation does what its name says, on colour and grey images alike."""

import pytest
import torch

from glifcli.data import Normalisation
from glifcli.data.augmentation import Augmentation, random_crop, random_flip
from glifcli.errors import DataError
from glifcli.recipe import Augment
from tests.data.samples import make_split

POLICIES = ("autoaugment", "randaugment", "trivialaugment")


def augmentation(settings: Augment, channels: int = 3, side: int = 8) -> Augmentation:
    # Mean 0 and deviation 1/255 keep the values of the pixels.
    return Augmentation(settings, Normalisation((0.0,) * channels, (1 / 255,) * channels), 4, (channels, side, side))


def pixels_of(count: int = 16, channels: int = 3, side: int = 8) -> torch.Tensor:
    return make_split(count, channels, side).images.fetch(torch.arange(count))


def test_crop_is_a_window_of_the_padded_image() -> None:
    torch.manual_seed(0)
    pixels = pixels_of(64)
    padded = torch.nn.functional.pad(pixels, (2, 2, 2, 2))
    offsets = set()
    for image, source in zip(random_crop(pixels, 2), padded, strict=True):
        found = [(y, x) for y in range(5) for x in range(5) if torch.equal(image, source[:, y : y + 8, x : x + 8])]
        assert len(found) == 1
        offsets.add(found[0])
    assert {y for y, _ in offsets} == set(range(5))
    assert {x for _, x in offsets} == set(range(5))


def test_flip_mirrors_about_half() -> None:
    torch.manual_seed(0)
    pixels = pixels_of(200)
    flipped = random_flip(pixels)
    same = sum(torch.equal(image, source) for image, source in zip(flipped, pixels, strict=True))
    mirrored = sum(torch.equal(image, source.flip(-1)) for image, source in zip(flipped, pixels, strict=True))
    assert same + mirrored == 200
    assert 70 < same < 130


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 80])
@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_runs(policy: str, side: int, channels: int) -> None:
    torch.manual_seed(0)
    pixels = pixels_of(60, channels, side)
    images, labels = augmentation(Augment(policy=policy), channels, side)(pixels, torch.zeros(60, dtype=torch.int64))
    assert images.shape == pixels.shape
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    changed = sum(not torch.equal(image.round(), source.float()) for image, source in zip(images, pixels, strict=True))
    assert changed > 20


def test_autoaugment_follows_the_size() -> None:
    from torchvision.transforms.v2 import AutoAugmentPolicy

    for side, policy in ((64, AutoAugmentPolicy.CIFAR10), (65, AutoAugmentPolicy.IMAGENET)):
        assert augmentation(Augment(policy="autoaugment"), side=side).policy.policy == policy


def test_policy_refuses_other_channels() -> None:
    with pytest.raises(DataError, match="1 or 3 channels, not 2"):
        augmentation(Augment(policy="autoaugment"), channels=2)


@pytest.mark.parametrize(("side", "length"), [(8, 1), (8, 3), (32, 16), (8, 7)])
def test_cutout_is_one_square_of_the_mean(side: int, length: int) -> None:
    torch.manual_seed(0)
    pixels = torch.full((20, 3, side, side), 200, dtype=torch.uint8)
    images, _ = augmentation(Augment(cutout=length), side=side)(pixels, torch.zeros(20, dtype=torch.int64))
    corners = set()
    for image in images:
        rows, columns = (image[0] == 0).nonzero(as_tuple=True)
        assert (image == 0).sum() == 3 * length * length
        assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (length, length)
        corners.add((int(rows.min()), int(columns.min())))
    assert len(corners) > 1


def test_cutout_leaves_the_pixels_of_the_split_alone() -> None:
    pixels = pixels_of()
    before = pixels.clone()
    augmentation(Augment(cutout=4))(pixels, torch.zeros(16, dtype=torch.int64))
    assert torch.equal(pixels, before)


def test_cutout_larger_than_the_image() -> None:
    with pytest.raises(DataError, match=r"`augment\.cutout=8` covers") as caught:
        augmentation(Augment(cutout=8))
    assert caught.value.hint == "set `augment.cutout=4`"


@pytest.mark.parametrize("settings", [Augment(mixup=0.5), Augment(cutmix=1.0), Augment(mixup=0.5, cutmix=1.0)])
def test_soft_targets_sum_to_one(settings: Augment) -> None:
    torch.manual_seed(0)
    labels = torch.arange(16) % 4
    mix = augmentation(settings)
    mixed = 0
    for _ in range(10):
        images, targets = mix(pixels_of(), labels)
        assert targets.shape == (16, 4)
        assert targets.dtype == torch.float32
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(16))
        assert images.shape == (16, 3, 8, 8)
        mixed += bool((targets.max(dim=1).values < 0.999).any())
    assert mixed > 3


def test_mixup_and_cutmix_both_happen() -> None:
    torch.manual_seed(0)
    mix = augmentation(Augment(mixup=1.0, cutmix=1.0))
    pixels = (torch.arange(16, dtype=torch.uint8) * 10).view(16, 1, 1, 1).expand(16, 3, 8, 8)
    kinds = set()
    for _ in range(20):
        images, _ = mix(pixels, torch.arange(16) % 4)
        kinds.add(int(images[1].unique().numel()))
    # CutMix leaves two values in an image of one colour, MixUp one.
    assert kinds == {1, 2}
