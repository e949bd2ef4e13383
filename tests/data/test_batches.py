"""A training batch is a pure function of (seed, epoch, step); evaluation sees every image once, in order."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from glifcli.data import Normalisation, Split, eval_batches, load_dataset, steps_per_epoch, train_batches
from glifcli.data.batches import Batch, mixed_seed
from glifcli.errors import DataError
from glifcli.recipe import Augment, Data
from tests.data.samples import make_split, write_folder

HALF = Normalisation((0.5,) * 3, (0.25,) * 3)
EVERYTHING = Augment(crop_padding=2, flip=True, policy="randaugment", cutout=2, mixup=0.4, cutmix=1.0)


def run(
    split: Split, augment: Augment = EVERYTHING, *, seed: int = 1, epoch: int = 2, start: int = 0, **data: int
) -> list[Batch]:
    settings = Data(**{"batch_size": 4, **data})
    return list(train_batches(split, HALF, 4, settings, augment, seed=seed, epoch=epoch, start_step=start))


def same(first: list[Batch], second: list[Batch]) -> bool:
    assert first
    return len(first) == len(second) and all(
        torch.equal(a, b) for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True)
    )


def numbers(batches: list[Batch]) -> list[int]:
    """Which images the batches hold, from their first pixel."""
    return [round(float(image[0, 0, 0]) * 0.25 * 255 + 127.5) for images, _ in batches for image in images]


@pytest.mark.parametrize(("images", "steps"), [(20, 5), (23, 5), (4, 1), (3, 1), (1, 1), (8, 2)])
def test_steps_per_epoch(images: int, steps: int) -> None:
    assert steps_per_epoch(images, 4) == steps
    batches = run(make_split(images), Augment())
    assert len(batches) == steps
    assert len(batches[0][0]) == min(images, 4)
    assert len(set(numbers(batches))) == min(images, steps * 4)


def test_same_seed_epoch_and_step_give_the_same_batch() -> None:
    assert same(run(make_split()), run(make_split()))


@pytest.mark.parametrize("other", [{"seed": 0}, {"epoch": 3}, {"seed": 2, "epoch": 1}])
def test_another_seed_or_epoch_gives_other_batches(other: dict[str, int]) -> None:
    plain = numbers(run(make_split(), Augment()))
    assert numbers(run(make_split(), Augment(), **other)) != plain
    assert sorted(numbers(run(make_split(), Augment(), **other))) == sorted(plain)


def test_steps_are_augmented_differently() -> None:
    pixels = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    pixels[..., 4, 4] = 255
    base = make_split(1)
    split = Split(type(base.images)(pixels.expand(8, 3, 8, 8)), torch.zeros(8, dtype=torch.int64))
    batches = run(split, Augment(crop_padding=2))
    assert not torch.equal(batches[0][0], batches[1][0])


@pytest.mark.parametrize("start", [1, 3, 4])
def test_resumed_epoch_goes_on_where_it_stopped(start: int) -> None:
    assert same(run(make_split(), start=start), run(make_split())[start:])


def test_resuming_after_the_last_step_gives_nothing() -> None:
    assert run(make_split(), start=5) == []


@pytest.mark.parametrize("start", [0, 2])
def test_workers_change_nothing(start: int) -> None:
    alone = run(make_split(), start=start)
    from_workers = run(make_split(), start=start, workers=2)
    assert same(from_workers, alone)
    assert type(from_workers[0]) is type(alone[0]) is tuple


@pytest.mark.parametrize("workers", [0, 2])
def test_callers_random_state_is_untouched(workers: int) -> None:
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())
    run(make_split(), workers=workers)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]


def test_callers_random_state_has_no_influence() -> None:
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    first = run(make_split())
    torch.manual_seed(2)
    random.seed(2)
    np.random.seed(2)
    assert same(first, run(make_split()))


def test_thread_count_has_no_influence_and_is_restored() -> None:
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(run(make_split(side=32)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert same(*results)


def test_seeds_are_mixed() -> None:
    assert len({mixed_seed("order", seed, epoch) for seed in range(10) for epoch in range(10)}) == 100
    assert mixed_seed("order", 0, 1) != mixed_seed("augment", 0, 1)
    # Written down once: another seed would change every run.
    assert mixed_seed("order", 0, 1) == 11293017049821172625


def test_evaluation_sees_every_image_once_in_order() -> None:
    split = make_split(10)
    batches = list(eval_batches(split, HALF, 4))
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    assert numbers(batches) == list(range(10))
    assert torch.equal(torch.cat([labels for _, labels in batches]), split.labels)
    pixels = split.images.fetch(torch.arange(10))
    torch.testing.assert_close(batches[0][0], (pixels[:4] / 255 - 0.5) / 0.25)
    assert batches[0][0].dtype == torch.float32


def test_plain_batch_is_the_normalised_images_with_their_labels() -> None:
    split = make_split()
    for images, labels in run(split, Augment()):
        chosen = torch.tensor(numbers([(images, labels)]))
        torch.testing.assert_close(images, (split.images.fetch(chosen) / 255 - 0.5) / 0.25)
        assert torch.equal(labels, split.labels[chosen])
        assert labels.dtype == torch.int64


def test_no_training_images() -> None:
    with pytest.raises(DataError, match="no training images"):
        run(make_split(4).take(0))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("budget", [2**30, 0])
def test_corrupt_image_is_named(workers: int, budget: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glifcli.data.images.MEMORY_BUDGET", budget)
    write_folder(tmp_path, {"train": {"a": 6, "b": 6}, "test": {"a": 1}})
    bad = tmp_path / "train" / "b" / "003.png"
    bad.write_bytes(b"damaged")
    data = load_dataset(Data(dataset="imagefolder", data_dir=str(tmp_path)))
    with pytest.raises(DataError) as caught:
        run(data.splits["train"], workers=workers)
    assert caught.value.message == f"image `{bad}` cannot be decoded: cannot identify image file"
    assert caught.value.hint.endswith(f"rm {bad}")


def test_take_is_spread_over_the_split() -> None:
    split = make_split(10)
    assert torch.equal(split.take(5).labels, split.labels[::2])
