"""Event frames: layouts, splits, counts, augmentation, and every way in which a file can be wrong."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glifcli.data import FolderImages, Normalisation, eval_batches, images, load_dataset, train_batches
from glifcli.data.augmentation import random_crop, random_flip
from glifcli.errors import DataError
from glifcli.recipe import Augment, Data

STEPS, SIDE = 3, 8


def counts_of(seed: int, dtype: str = "uint8", steps: int = STEPS, side: int = SIDE) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(0, 200, (steps, 2, side, side)).astype(dtype)


def write_events(path: Path, seed: int = 0, **others: Any) -> NDArray[Any]:
    """A file of event frames and what is in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    counts = counts_of(seed, **others)
    if path.suffix == ".npy":
        np.save(path, counts)
    else:
        np.savez_compressed(path, frames=counts)
    return counts


def write_classes(root: Path, count: int, **others: Any) -> list[NDArray[Any]]:
    """Classes of `count` files, numbered as CIFAR10-DVS has them."""
    return [
        write_events(root / name / f"cifar10_{name}_{number}.npz", seed=100 * label + number, **others)
        for label, name in enumerate(("cat", "dog"))
        for number in range(count)
    ]


@pytest.fixture
def divided(tmp_path: Path) -> Path:
    for split, count in (("train", 10), ("test", 4)):
        write_classes(tmp_path / "dvs" / split, count)
    return tmp_path / "dvs"


def settings(folder: Path, **others: Any) -> Data:
    return Data(dataset="eventframes", data_dir=str(folder), **others)


def fetch(folder: Path, split: str = "test", **others: Any) -> torch.Tensor:
    part = load_dataset(settings(folder, **others)).splits[split]
    return part.images.fetch(torch.arange(len(part)))


def test_divided(divided: Path) -> None:
    data = load_dataset(settings(divided))
    assert (data.name, data.classes, data.channels, data.image_size) == ("eventframes", ("cat", "dog"), 2, (8, 8))
    assert data.time_steps == STEPS
    assert data.normalisation == Normalisation((0.0, 0.0), (1.0, 1.0))
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 20, "test": 8}
    assert data.splits["test"].labels.tolist() == [0] * 4 + [1] * 4
    counts = fetch(divided)
    assert counts.shape == (8, STEPS, 2, 8, 8)
    assert counts[1].tolist() == counts_of(1).tolist()
    validated = load_dataset(settings(divided, validation=0.2)).splits
    assert {name: len(split) for name, split in validated.items()} == {"train": 16, "validation": 4, "test": 8}


def test_undivided_is_split_as_published(tmp_path: Path) -> None:
    write_classes(tmp_path, 11)
    data = load_dataset(settings(tmp_path))
    training, test = (data.splits[name].images for name in ("train", "test"))
    assert isinstance(training, FolderImages)
    assert isinstance(test, FolderImages)
    # Sorted as text: 10 comes after 1, so that the last of eleven is 9.
    assert [Path(path).stem for path in test.paths] == ["cifar10_cat_9", "cifar10_dog_9"]
    assert [Path(path).stem for path in training.paths][:4] == [f"cifar10_cat_{number}" for number in (0, 1, 10, 2)]
    assert data.splits["train"].labels.tolist() == [0] * 10 + [1] * 10
    assert math.ceil(0.9 * 11) == 10
    assert list(load_dataset(settings(tmp_path), ("test",)).splits) == ["test"]
    validated = load_dataset(settings(tmp_path, validation=4), ("train", "validation")).splits
    assert {name: len(split) for name, split in validated.items()} == {"train": 16, "validation": 4}
    held_out = load_dataset(settings(tmp_path, validation=4), ("validation",)).splits
    assert torch.equal(held_out["validation"].labels, validated["validation"].labels)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("uint8", torch.uint8), ("bool", torch.uint8), ("int16", torch.int16), ("int8", torch.float32),
        ("uint16", torch.float32), ("int64", torch.float32), ("float16", torch.float32), ("float64", torch.float32),
        (">i2", torch.int16), (">f4", torch.float32),
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_every_type_is_kept_without_loss(written: str, kept: torch.dtype, suffix: str, tmp_path: Path) -> None:
    counts = counts_of(7) % 100
    for split in ("train", "test"):
        path = tmp_path / split / "a" / f"x{suffix}"
        path.parent.mkdir(parents=True)
        if suffix == ".npz":
            np.savez(path, frames=counts.astype(written))
        else:
            np.save(path, counts.astype(written))
    found = fetch(tmp_path)
    expected = counts.astype(bool) if written == "bool" else counts
    assert found.dtype == kept
    assert found[0].tolist() == expected.astype(int).tolist()
    ((batch, _),) = eval_batches(load_dataset(settings(tmp_path)).splits["test"], Normalisation((0, 0), (1, 1)), 4)
    assert batch.dtype == torch.float32
    assert batch[0].tolist() == expected.astype(float).tolist()


def test_resizing_is_bilinear_without_antialiasing(divided: Path) -> None:
    from torchvision.transforms.v2.functional import resize

    for size in (4, 5, 12):
        found = fetch(divided, image_size=size)
        expected = resize(torch.from_numpy(counts_of(2)).float(), [size, size], antialias=False)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found[2], expected)
    # Four pixels in a row of which the filter meets two, at equal shares.
    expected = torch.from_numpy(counts_of(2)).float()[..., 0:2, 0:2].mean((-1, -2))
    torch.testing.assert_close(fetch(divided, image_size=4)[2][..., 0, 0], expected)
    write_events(divided / "test" / "cat" / "large.npz", side=11)
    assert fetch(divided, image_size=5).shape == (9, STEPS, 2, 5, 5)


def test_beyond_the_budget_files_stay_on_disk(divided: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fetch(divided)
    # What 8 files hold as bytes.
    size = 8 * STEPS * 2 * SIDE * SIDE
    for budget, fits in ((size, True), (size - 1, False)):
        monkeypatch.setattr(images, "MEMORY_BUDGET", budget)
        part = load_dataset(settings(divided)).splits["test"].images
        assert isinstance(part, FolderImages)
        assert (part.decoded is not None) is fits
        assert torch.equal(part.fetch(torch.arange(8)), expected)
    # Four bytes a number, once they are resized.
    monkeypatch.setattr(images, "MEMORY_BUDGET", size)
    part = load_dataset(settings(divided, image_size=8)).splits["test"].images
    assert isinstance(part, FolderImages)
    assert part.decoded is None


def test_threads_give_what_one_thread_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_classes(tmp_path, 80, steps=1, side=4)
    alone = fetch(tmp_path, "train")
    monkeypatch.setattr("glifcli.data.events.CHUNK", 8)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert torch.equal(fetch(tmp_path, "train"), alone)


def training_batches(folder: Path, augment: Augment, **others: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    data = load_dataset(settings(folder))
    recipe = settings(folder, batch_size=5, **others)
    return list(train_batches(data.splits["train"], data.normalisation, 2, recipe, augment, seed=1, epoch=0))


def test_batches_are_the_counts(divided: Path) -> None:
    batches = training_batches(divided, Augment())
    assert [batch.shape for batch, _ in batches] == [(5, STEPS, 2, 8, 8)] * 4
    found = sorted(sample.tolist() for batch, _ in batches for sample in batch)
    assert all(batch.dtype == torch.float32 for batch, _ in batches)
    assert found == sorted(sample.tolist() for sample in fetch(divided, "train").float())


def test_workers_change_nothing(divided: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    augment = Augment(crop_padding=2, flip=True)
    alone = training_batches(divided, augment)
    monkeypatch.setattr(images, "MEMORY_BUDGET", 0)
    for workers in (0, 2):
        others = training_batches(divided, augment, workers=workers)
        assert len(others) == len(alone) == 4
        for one, two in zip(alone, others, strict=True):
            assert torch.equal(one[0], two[0])
            assert torch.equal(one[1], two[1])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float32])
def test_all_frames_of_a_sample_are_cut_and_mirrored_alike(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    frame = torch.randint(1, 100, (40, 1, 2, 8, 8), dtype=torch.int16).to(dtype)
    samples = frame.repeat(1, 3, 1, 1, 1)
    samples[:, 2] += 1
    padded = torch.nn.functional.pad(frame[:, 0], (2, 2, 2, 2))
    offsets = set()
    for cut, source in zip(random_crop(samples, 2), padded, strict=True):
        found = [(y, x) for y in range(5) for x in range(5) if torch.equal(cut[0], source[:, y : y + 8, x : x + 8])]
        assert len(found) == 1
        offsets |= set(found)
        assert torch.equal(cut[1], cut[0])
        assert torch.equal(cut[2], cut[0] + (cut[0] > 0))
    assert len(offsets) > 15
    turned = random_flip(samples)
    same = sum(torch.equal(one, sample) for one, sample in zip(turned, samples, strict=True))
    mirrored = sum(torch.equal(one, sample.flip(-1)) for one, sample in zip(turned, samples, strict=True))
    assert same + mirrored == 40
    assert 10 < mirrored < 30
    assert random_crop(samples, 2).dtype == random_flip(samples).dtype == dtype


@pytest.mark.parametrize(
    ("key", "value", "off"),
    [("policy", "autoaugment", "none"), ("cutout", 2, "0"), ("mixup", 0.5, "0.0"), ("cutmix", 1.0, "0.0")],
)
def test_augmentations_of_images_are_refused(key: str, value: Any, off: str, divided: Path) -> None:
    with pytest.raises(DataError, match=rf"`augment\.{key}={value}` is for images") as caught:
        training_batches(divided, Augment(**{key: value}))
    assert caught.value.hint == f"set `augment.{key}={off}`"


def test_random_resized_crop_is_refused(divided: Path) -> None:
    with pytest.raises(DataError, match=r"`augment\.random_resized_crop=0\.2` is for images"):
        training_batches(divided, Augment(random_resized_crop=0.2))


def test_another_normalisation_is_refused(divided: Path) -> None:
    with pytest.raises(DataError, match="`eventframes` has 2"):
        load_dataset(settings(divided, normalisation="imagenet"))


def savez(**arrays: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        np.savez(path, **arrays)

    return write


def flipped_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(255 - byte for byte in content[middle : middle + 8])
    path.write_bytes(content)


GOOD = counts_of(0).astype(np.float32)
NAN, INFINITE, NEGATIVE, LARGE = (GOOD.copy() for _ in range(4))
NAN[1, 1, 1, 1], INFINITE[0, 0, 0, 0], NEGATIVE[2, 1, 7, 7] = math.nan, math.inf, -1
LARGE = LARGE.astype(np.float64) * 1e300


def read_tests(folder: Path) -> None:
    part = load_dataset(settings(folder), ("test",)).splits["test"]
    part.images.fetch(torch.arange(len(part)))


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(b""), "cannot be read: No data left in file"),
        (lambda path: path.write_bytes(b"events"), "cannot be read: it holds Python objects, or is no NumPy file"),
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "cannot be read: File is not a zip file"),
        (flipped_bytes, "cannot be read: "),
        (savez(frames=np.array([{"a": 1}], dtype=object)), "cannot be read: it holds Python objects"),
        (savez(x=GOOD, t=GOOD), "has no array `frames`, but `x`, `t`"),
        (savez(), "has no array `frames`, but none"),
        (savez(frames=np.array(["a"])), "is `<U1`, not integers or floats"),
        (savez(frames=GOOD.astype(np.complex128)), "is `complex128`, not integers or floats"),
        (savez(frames=GOOD[0]), "has shape `[2, 8, 8]`, not [T, 2, H, W]"),
        (savez(frames=GOOD[:, :1]), "has shape `[3, 1, 8, 8]`, not [T, 2, H, W]"),
        (savez(frames=GOOD[:0]), "has shape `[0, 2, 8, 8]`, not [T, 2, H, W]"),
        (savez(frames=NAN), "are not finite"),
        (savez(frames=INFINITE), "are not finite"),
        (savez(frames=LARGE), "are not finite"),
        (savez(frames=NEGATIVE), "go down to `-1.0`"),
        (savez(frames=NEGATIVE.astype(np.int16)), "go down to `-1`"),
    ],
)
def test_a_bad_file_is_named(spoil: Callable[[Path], None], message: str, first: bool, tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_classes(tmp_path / split, 3, dtype="float32" if "-1.0" in message or "finite" in message else "int16")
    path = tmp_path / "test" / "cat" / f"cifar10_cat_{0 if first else 1}.npz"
    spoil(path)
    with pytest.raises(DataError) as caught:
        read_tests(tmp_path)
    assert f"`{path}`" in caught.value.message
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"steps": 4}, "have 4 time steps, the first ones 3"),
        ({"side": 9}, "are `9x9` but the first ones are `8x8`"),
        ({"dtype": "float32"}, "are of the type `float32` but the first ones of `uint8`"),
    ],
)
def test_files_that_differ(others: dict[str, Any], message: str, divided: Path) -> None:
    path = divided / "test" / "dog" / "cifar10_dog_2.npz"
    write_events(path, **others)
    with pytest.raises(DataError) as caught:
        fetch(divided)
    assert caught.value.message == f"event frames `{path}` {message}"


def test_folders_that_are_not_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs a folder"):
        load_dataset(Data(dataset="eventframes"))
    with pytest.raises(DataError, match="has no folders, not `train/` and `test/`"):
        load_dataset(settings(tmp_path))
    inner = tmp_path / "frames_number_16_split_by_number"
    write_classes(inner, 2)
    (tmp_path / "events_np").mkdir()
    with pytest.raises(
        DataError, match="`events_np`, `frames_number_16_split_by_number`, not a folder a class"
    ) as caught:
        load_dataset(settings(tmp_path))
    assert caught.value.hint == f"give the frames inside it: `--data-dir {inner}`"
    with pytest.raises(DataError, match="too small to be divided: `cat` has 2 files"):
        load_dataset(settings(inner))
    with pytest.raises(DataError, match="has no validation event frames"):
        load_dataset(settings(inner), ("validation",))
    (inner / "eel").mkdir()
    with pytest.raises(DataError, match=r"`.*/eel` has no event frames \(\.npy, \.npz\)"):
        load_dataset(settings(inner))
