"""A data set of a few digits, in memory, and a recipe that trains on it in a moment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from glifcli import recipe as recipes
from glifcli.data import Dataset, MemoryImages, Normalisation, Split
from glifcli.recipe import Recipe
from glifcli.training.run import Run


@pytest.fixture
def dataset() -> Dataset:
    """Four classes of noisy 8x8 images, each with one bright quarter."""
    generator = torch.Generator().manual_seed(0)
    splits = {}
    for name, count in (("train", 72), ("validation", 24), ("test", 24)):
        labels = torch.arange(count) % 4
        pixels = torch.randint(0, 120, (count, 1, 8, 8), generator=generator)
        for image, label in zip(pixels, labels.tolist(), strict=True):
            row, column = 4 * (label // 2), 4 * (label % 2)
            image[0, row : row + 4, column : column + 4] += 90
        splits[name] = Split(MemoryImages(pixels.to(torch.uint8)), labels)
    return Dataset("digits", ("a", "b", "c", "d"), 1, (8, 8), splits, Normalisation((0.3,), (0.2,)))


@pytest.fixture
def make_recipe() -> Callable[..., Recipe]:
    """A recipe of 3 epochs of 9 steps, with anything overridden: `make_recipe(train__epochs=5)`."""

    def make(**overrides: Any) -> Recipe:
        base: dict[str, Any] = {
            "model.width": 0.25,
            "model.time_steps": 2,
            "data.validation": 0.25,
            "data.batch_size": 8,
            "augment.crop_padding": 1,
            "optim.lr": 0.1,
            "train.epochs": 3,
            "train.precision": "fp32",
            "train.device": "cpu",
            "train.deterministic": True,
        }
        return recipes.check({}, "`test`", base | {k.replace("__", "."): v for k, v in overrides.items()})

    return make


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[[str, Recipe], Run]:
    """A run folder of that name, begun with that recipe."""

    def make(name: str, recipe: Recipe) -> Run:
        run = Run(tmp_path / name)
        run.create(recipe, {"test": True})
        return run

    return make
