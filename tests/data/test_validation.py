"""The validation split: seeded, stratified, disjoint, and refused where it makes no sense."""

import pytest
import torch

from glifcli.data import load_dataset
from glifcli.data.validation import stratified_split, validation_count
from glifcli.errors import DataError
from glifcli.recipe import Data


def test_split_is_disjoint_complete_and_stratified() -> None:
    labels = torch.arange(100) % 4
    stay, held = stratified_split(labels, 20, seed=3)
    assert sorted(stay.tolist() + held.tolist()) == list(range(100))
    assert labels[held].bincount().tolist() == [5, 5, 5, 5]


def test_split_is_the_seeds() -> None:
    labels = torch.arange(40) % 2
    held = [stratified_split(labels, 8, seed)[1].tolist() for seed in (0, 0, 1)]
    assert held[0] == held[1] != held[2]
    assert held[0] == [0, 6, 11, 13, 15, 24, 29, 30]


@pytest.mark.parametrize(("setting", "count"), [(0.25, 25), (1, 1), (30, 30), (30.0, 30)])
def test_count(setting: float, count: int) -> None:
    assert validation_count(setting, 100) == count


@pytest.mark.parametrize("setting", [2.5, 100, 1000, 0.9999, 1e-9])
def test_count_refused(setting: float) -> None:
    with pytest.raises(DataError, match=r"`data\.validation"):
        validation_count(setting, 100)


def test_too_few_images_for_the_classes() -> None:
    with pytest.raises(DataError, match="cannot be held out") as caught:
        load_dataset(Data(validation=3))
    assert "data.validation" in caught.value.hint


def test_normalisation_leaves_validation_out() -> None:
    whole = load_dataset(Data())
    divided = load_dataset(Data(validation=0.5))
    assert {name: len(split) for name, split in divided.splits.items()} == {
        "train": 719,
        "validation": 718,
        "test": 360,
    }
    assert whole.normalisation != divided.normalisation
