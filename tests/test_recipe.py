"""Recipes: what is read, overridden, refused and written again."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest

from glifcli import recipe as recipes
from glifcli.errors import GlifError, RecipeError
from glifcli.recipe import Recipe, check, differences, flat, keys, parse_set, read, to_toml


def problems(tables: dict[str, Any], overrides: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        check(tables, "`r.toml`", overrides)
    assert caught.value.hint
    assert caught.value.exit_code == 2
    assert len(caught.value.message.splitlines()) == 1 + len(caught.value.problems)
    return caught.value.problems


def test_an_empty_recipe_is_the_defaults() -> None:
    assert check({}, "`r.toml`") == Recipe()


def test_what_is_written_is_read_again() -> None:
    recipe = check(
        {"optim": {"lr": 0.05}, "model": {"name": "resnet19"}, "data": {"validation": 0.1}},
        "`r.toml`",
        {"train.epochs": 7, "neuron.name": "lif", "neuron.reset": "soft"},
    )
    assert check(tomllib.loads(to_toml(recipe)), "`r.toml`") == recipe
    assert (recipe.train.epochs, recipe.neuron.reset, recipe.optim.lr) == (7, "soft", 0.05)


def test_overrides_leave_the_tables_as_they_were() -> None:
    tables = {"optim": {"lr": 0.05}}
    assert check(tables, "`r.toml`", {"optim.lr": 0.5, "train.epochs": 2}).optim.lr == 0.5
    assert tables == {"optim": {"lr": 0.05}}


def test_every_key_is_there_once() -> None:
    assert len(keys()) == len(set(keys())) > 40
    assert {"description", "model.name", "neuron.name", "train.seed"} <= set(keys())
    assert flat(Recipe()).keys() == set(keys())
    assert set(keys()) > recipes.PLACE_KEYS


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        ({"optim": {"lrr": 1}}, "unknown key `optim.lrr`: did you mean `optim.lr`?"),
        ({"optm": {"lr": 1}}, "unknown key `optm`: did you mean `optim`?"),
        ({"lr": 1}, "unknown key `lr`: did you mean `optim.lr`?"),
        ({"epochs": 1}, "unknown key `epochs`: did you mean `train.epochs`?"),
        ({"train": {"epochs": "many"}}, '`train.epochs` is `"many"`: it should be a valid integer'),
        ({"train": {"epochs": 1.5}}, "`train.epochs` is `1.5`: it should be a valid integer"),
        ({"train": {"epochs": True}}, "`train.epochs` is `true`: it should be a valid integer"),
        ({"train": {"deterministic": 1}}, "`train.deterministic` is `1`: it should be a valid boolean"),
        ({"model": {"name": 5}}, "`model.name` is `5`: it should be a valid string"),
        ({"model": [1]}, "`model` is `[1]`: it should be a table"),
        ({"model": {"time_steps": 0}}, "`model.time_steps` is `0`: it should be greater than or equal to 1"),
        ({"model": {"time_steps": 1025}}, "`model.time_steps` is `1025`: it should be less than or equal to 1024"),
        ({"model": {"width": 0}}, "`model.width` is `0`: it should be greater than 0"),
        ({"optim": {"lr": float("nan")}}, "`optim.lr` is `NaN`: it should be a finite number"),
        ({"optim": {"momentum": 1.0}}, "`optim.momentum` is `1.0`: it should be less than 1"),
        ({"optim": {"name": "sdg"}}, "`optim.name` is `sdg`: did you mean `sgd`?"),
        ({"optim": {"schedule": "zzz"}}, "`optim.schedule` is `zzz`: known: `constant`, `cosine`, `onecycle`"),
        ({"train": {"seed": -1}}, "`train.seed` is `-1`: it should be greater than or equal to 0"),
        ({"train": {"precision": "fp8"}}, "`train.precision` is `fp8`: did you mean `fp64`?"),
        ({"model": {"name": "resnet9"}}, "`model.name` is `resnet9`: did you mean `resnet19`?"),
        ({"neuron": {"name": "glif_f"}}, "`neuron.name` is `glif_f`: did you mean `glif-f`?"),
        ({"data": {"dataset": "cifar"}}, "`data.dataset` is `cifar`: did you mean `cifar10`?"),
        ({"neuron": {"name": "lif", "mode": "hard"}}, "`neuron.mode` has no meaning for the neuron `lif`: remove it"),
        ({"data": {"validation": 1.5}}, "`data.validation` is `1.5`: give a share below 1 or a whole number of images"),
        (
            {"data": {"resize": 32}},
            "`data.resize` is `32`, of which `data.image_size` `0` cannot be cut out: set `data.image_size` to 1 to 32",
        ),
        (
            {"data": {"resize": 8, "image_size": 9}},
            "`data.resize` is `8`, of which `data.image_size` `9` cannot be cut out: set `data.image_size` to 1 to 8",
        ),
        (
            {"data": {"resize": 32, "image_size": 32, "dataset": "eventframes"}},
            "`data.resize` has no meaning for `eventframes`, which are not cut: set `data.image_size` alone",
        ),
        ({"data": {"normalisation": "imgnet"}}, "`data.normalisation` is `imgnet`: did you mean `imagenet`?"),
        (
            {"augment": {"random_resized_crop": 1.2}},
            "`augment.random_resized_crop` is `1.2`: it should be less than or equal to 1",
        ),
        (
            {"augment": {"random_resized_crop": 0.2, "crop_padding": 4}},
            "`augment.crop_padding` has no meaning beside `augment.random_resized_crop`: remove one of them",
        ),
        (
            {"optim": {"schedule": "onecycle", "warmup_epochs": 1.0}},
            "`optim.warmup_epochs` has no meaning for the schedule `onecycle`, which warms up: remove it",
        ),
        (
            {"optim": {"warmup_epochs": 3.0}, "train": {"epochs": 2}},
            "`optim.warmup_epochs` is `3`, more than the 2 epochs of `train.epochs`: lower it",
        ),
    ],
)
def test_a_problem_is_told(tables: dict[str, Any], problem: str) -> None:
    assert problems(tables) == [problem]


def test_all_problems_are_told_at_once() -> None:
    found = problems({"optim": {"lrr": 1}, "model": {"name": "x", "width": -1.0}}, {"train.epochs": 0, "a.b.c": 1})
    assert len(found) == 5


@pytest.mark.parametrize("key", ["model.name.x", "description.x", "a..b", ".", "model."])
def test_an_override_of_what_is_no_table(key: str) -> None:
    (problem,) = problems({"model": {"name": "smallnet"}, "description": "x"}, {key: 1})
    assert problem.startswith("unknown key `")


@pytest.mark.parametrize(
    ("overrides", "hint"),
    [
        ({}, "edit `r.toml`; `glif train --dry-run` shows a recipe with every key"),
        ({"model.width": 0.5}, "edit `r.toml`; `glif train --dry-run` shows a recipe with every key"),
        ({"optim.lr": 0, "model.width": 0.5}, "change the flag, `--set` or `GLIF_…` variable that gives `optim.lr`"),
    ],
)
def test_the_hint_names_what_to_change(overrides: dict[str, Any], hint: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check({"train": {"epochs": 0}}, "`r.toml`", overrides)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("assignment", "key", "value"),
    [
        ("optim.lr=0.05", "optim.lr", 0.05),
        (" optim.lr =0.05", "optim.lr", 0.05),
        ("model.name=resnet19", "model.name", "resnet19"),
        ('model.name="resnet19"', "model.name", "resnet19"),
        ("train.deterministic=true", "train.deterministic", True),
        ("description=a=b", "description", "a=b"),
        ("description=", "description", ""),
        ("description=1\nseed = 2", "description", "1\nseed = 2"),
        ("a=[1, 2]", "a", [1, 2]),
    ],
)
def test_parse_set(assignment: str, key: str, value: Any) -> None:
    assert parse_set(assignment) == (key, value)


@pytest.mark.parametrize("assignment", ["optim.lr", "=3", " =3", ""])
def test_parse_set_refuses(assignment: str) -> None:
    with pytest.raises(GlifError) as caught:
        parse_set(assignment)
    assert caught.value.message == f"`--set {assignment}` is not a key and a value"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"[model", "not TOML: "), (b"a = 1\na = 2", "not TOML: "), (b"\xff", "not a text file in UTF-8")],
)
def test_a_file_that_is_not_toml(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=message) as caught:
        read(path)
    assert str(path) in caught.value.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(GlifError, match="cannot read the recipe") as caught:
        read(tmp_path / "none.toml")
    assert "No such file" in caught.value.message


def test_differences_are_of_what_is_computed() -> None:
    one = Recipe()
    assert differences(one, one) == []
    places = {"data.data_dir": "x", "data.workers": 3, "train.device": "cpu", "train.save_minutes": 1.0}
    assert differences(one, check({}, "`r`", places)) == []
    assert differences(one, check({}, "`r`", {"train.epochs": 5})) == ["`train.epochs`: `1` and `5`"]


def test_recipes_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().train.epochs = 3  # type: ignore[misc]
