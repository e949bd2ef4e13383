"""Images as ImageNet's are cut: a random box for training, the scaled centre for evaluation."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from glifcli.data import FolderImages, MemoryImages, Split, decoding, images, load_dataset, train_batches
from glifcli.data.normalisation import IMAGENET, Normalisation
from glifcli.errors import DataError
from glifcli.recipe import Augment, Data
from tests.data.samples import make_split, write_image

# Mean 0 and deviation 1/255 keep the values of the pixels.
PLAIN = Normalisation((0.0,) * 3, (1 / 255,) * 3)
SIZES = ((40, 31), (17, 60), (25, 25), (9, 12), (64, 64), (16, 17))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Images of many sizes; wide ones, tall ones, small ones."""
    for split in ("train", "test"):
        for number, size in enumerate(SIZES):
            write_image(tmp_path / "photos" / split / "a" / f"{number}.png", seed=number, size=size)
    return tmp_path / "photos"


def settings(folder: Path, **others: Any) -> Data:
    return Data(dataset="imagefolder", data_dir=str(folder), image_size=12, **others)


def pixels_of(image: Image.Image) -> Tensor:
    return functional.pil_to_tensor(image)


def originals(folder: Path, split: str = "test") -> list[Image.Image]:
    return [Image.open(path) for path in sorted((folder / split / "a").iterdir())]


def all_of(folder: Path, **others: Any) -> Tensor:
    return load_dataset(settings(folder, **others)).splits["test"].images.fetch(torch.arange(len(SIZES)))


@pytest.mark.parametrize("shorter", [12, 14, 16, 30])
def test_resize_is_that_of_torchvision(shorter: int, photos: Path) -> None:
    published = v2.Compose([v2.Resize(shorter), v2.CenterCrop(12)])
    for found, image in zip(all_of(photos, resize=shorter), originals(photos), strict=True):
        assert torch.equal(found, pixels_of(published(image)))
    assert not torch.equal(all_of(photos, resize=shorter), all_of(photos))


def batches(folder: Path, **others: Any) -> list[Tensor]:
    data = load_dataset(settings(folder, batch_size=3, **others), ("train",))
    augment = Augment(random_resized_crop=0.2, flip=True)
    made = train_batches(
        data.splits["train"], PLAIN, 1, settings(folder, batch_size=3, **others), augment, seed=1, epoch=0
    )
    return [pixels for pixels, _ in made]


def test_crops_are_those_of_torchvision(photos: Path) -> None:
    cropped = load_dataset(settings(photos, resize=16)).splits["test"].images.cropped(0.2)
    torch.manual_seed(3)
    found = cropped.fetch(torch.arange(len(SIZES)))
    torch.manual_seed(3)
    crop = v2.RandomResizedCrop(12, scale=(0.2, 1.0))
    for pixels, image in zip(found, originals(photos), strict=True):
        assert torch.equal(pixels, pixels_of(crop(image)))
    assert not torch.equal(cropped.fetch(torch.arange(len(SIZES))), found)


@pytest.mark.parametrize("smallest", [0.2, 0.9, 1.0])
def test_boxes_are_as_large_as_asked_for(smallest: float, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", size=(100, 120))
    torch.manual_seed(0)
    boxes = decoding.random_boxes([str(tmp_path / "a.png")] * 300, smallest)
    shares = [(right - left) * (bottom - top) / 12000 for left, top, right, bottom in boxes]
    assert min(shares) >= smallest - 0.01
    assert all(0 <= left < right <= 120 and 0 <= top < bottom <= 100 for left, top, right, bottom in boxes)
    assert min(shares) < smallest + 0.02
    if smallest == 0.2:
        assert max(shares) > 0.8
        assert len(set(boxes)) > 290


@pytest.mark.parametrize("budget", [2**30, 0])
def test_batches_follow_from_seed_epoch_and_step(budget: int, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = batches(photos)
    assert [pixels.shape for pixels in alone] == [(3, 3, 12, 12)] * 2
    monkeypatch.setattr(images, "MEMORY_BUDGET", budget)
    torch.manual_seed(9)
    before = torch.get_rng_state()
    for workers in (0, 2):
        for one, other in zip(alone, batches(photos, workers=workers), strict=True):
            assert torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_images_cut_at_random_are_not_kept(photos: Path) -> None:
    split = load_dataset(settings(photos)).splits["train"]
    split.images.prepare()
    cropped = split.images.cropped(0.5)
    assert isinstance(cropped, FolderImages)
    cropped.prepare()
    assert cropped.decoded is None
    # The split itself stays whole: evaluation on training images sees what it saw before.
    assert torch.equal(split.images.fetch(torch.arange(6)), all_of(photos))


def test_images_in_memory_are_cut_too() -> None:
    split = make_split(side=16)
    cropped = split.images.cropped(0.3).pick(torch.arange(5, 15))
    assert isinstance(cropped, MemoryImages)
    torch.manual_seed(3)
    found = cropped.fetch(torch.arange(10))
    torch.manual_seed(3)
    crop = v2.RandomResizedCrop(16, scale=(0.3, 1.0))
    pixels = split.images.fetch(torch.arange(5, 15))
    assert torch.equal(found, torch.stack([crop(image) for image in pixels]))
    assert found.dtype == torch.uint8
    assert torch.equal(split.images.fetch(torch.arange(5, 15)), pixels)
    augment = Augment(random_resized_crop=0.3)
    made = train_batches(Split(split.images, split.labels), PLAIN, 4, Data(batch_size=4), augment, seed=1, epoch=0)
    assert all(image.shape == (4, 3, 16, 16) for image, _ in made)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_corrupt_image_is_named(workers: int, photos: Path) -> None:
    path = photos / "train" / "a" / "3.png"
    for content in (b"damaged", path.read_bytes()[:-60]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"image `{path}` cannot be decoded"):
            batches(photos, workers=workers)


def test_resize_in_memory() -> None:
    plain = load_dataset(Data(image_size=12), ("test",)).splits["test"].images.fetch(torch.arange(4))
    scaled = load_dataset(Data(image_size=8, resize=12), ("test",)).splits["test"].images.fetch(torch.arange(4))
    assert torch.equal(scaled, plain[..., 2:10, 2:10])


def test_the_normalisation_of_imagenet(photos: Path) -> None:
    assert load_dataset(settings(photos, normalisation="imagenet")).normalisation == IMAGENET
    assert load_dataset(settings(photos)).normalisation != IMAGENET
    with pytest.raises(DataError, match=r"`data\.normalisation=imagenet` is for 3 channels, `digits` has 1"):
        load_dataset(Data(normalisation="imagenet"))
