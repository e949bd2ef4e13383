"""The zoo: every recipe in it is whole, every network of the registry can be built, names find what they mean."""

from pathlib import Path

import pytest
import torch

from glifcli import recipe as recipes
from glifcli import zoo
from glifcli.errors import GlifError
from glifcli.models.names import NAMES
from glifcli.models.registry import MODELS, create_model
from glifcli.neurons.config import SETTINGS

RECIPES = zoo.recipes()
# What reads the sets that have no name of their own: the folder of recipes is named after the set.
DATASETS = {"imagenet": "imagefolder", "cifar10-dvs": "eventframes"}


def test_there_are_recipes_and_models() -> None:
    assert len(RECIPES) >= 14
    assert {name.partition("/")[0] for name in RECIPES} >= DATASETS.keys()
    assert "digits/smallnet" in RECIPES
    assert len(MODELS) >= 8
    assert len(SETTINGS) >= 4
    files = {path for path in (zoo.folder() / "recipes").rglob("*") if path.is_file()}
    assert files == set(RECIPES.values())


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_whole(name: str) -> None:
    recipe = recipes.check(recipes.read(RECIPES[name]), name)
    assert recipe.description
    folder, _, model = name.partition("/")
    assert recipe.data.dataset == DATASETS.get(folder, folder)
    assert recipe.model.name == model.removesuffix("-modern")
    assert recipe.data.data_dir == ""
    assert recipe.train.device == "auto"


@pytest.mark.parametrize("neuron", SETTINGS)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_built_and_runs(name: str, neuron: str) -> None:
    model = create_model(name, classes=3, time_steps=2, neuron=neuron, width=0.1, in_channels=3, image_size=16).eval()
    with torch.no_grad():
        assert model(torch.rand(1, 3, 16, 16)).shape == (1, 3)


def test_names_need_no_registry() -> None:
    assert set(NAMES) == set(MODELS)


def test_a_part_of_a_name_that_only_one_has() -> None:
    assert zoo.find_recipe("digits") == zoo.find_recipe("digits/smallnet")
    assert zoo.find_recipe("digits")[0] == "digits/smallnet"


def test_a_file_is_found_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.touch()
    assert zoo.find_recipe(str(path)) == ("mine", path)


@pytest.mark.parametrize(
    ("reference", "message", "hint"),
    [
        ("smallnet", "the recipe `smallnet` could be `digits/smallnet`, `fashion-mnist/smallnet`", "`glif train "),
        ("DIGTS", "no recipe `DIGTS`", "did you mean `digits`?"),
        ("qqqqqq", "no recipe `qqqqqq`", "`glif list` shows the recipes"),
        ("mine.toml", "no recipe file `mine.toml`", "check the path"),
    ],
)
def test_names_that_find_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reference: str, message: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GlifError) as caught:
        zoo.find_recipe(reference)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_another_zoo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GLIF_ZOO", str(tmp_path))
    with pytest.raises(GlifError, match="no recipes in the zoo"):
        zoo.recipes()
    path = tmp_path / "recipes" / "mine" / "net.toml"
    path.parent.mkdir(parents=True)
    path.touch()
    assert zoo.recipes() == {"mine/net": path}
