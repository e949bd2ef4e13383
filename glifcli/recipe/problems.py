"""What is wrong with a recipe, each problem in a line."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from glifcli.errors import nearest
from glifcli.neurons.config import SETTINGS, unread_settings
from glifcli.recipe.tables import Loss, Recipe, keys


def unknown_key(dotted: str) -> str:
    """The problem of a key that no recipe has."""
    return f"unknown key `{dotted}`: {nearest_key(dotted)}"


def nearest_key(dotted: str) -> str:
    """The known key nearest to `dotted`: in its own table where that exists, by the last name alone elsewhere."""
    tables = {key.partition(".")[0] for key in keys()}
    table, _, leaf = dotted.partition(".")
    if table in tables:
        return nearest(dotted, [key for key in keys() if key.startswith(f"{table}.")] or keys())
    same_leaf = [key for key in keys() if key.rpartition(".")[2] == (leaf or table)]
    if same_leaf:
        return f"did you mean `{same_leaf[0]}`?"
    return nearest(dotted, keys() if leaf else tables)


def explain(details: Mapping[str, Any]) -> str:
    """One of pydantic's error records in our words."""
    dotted = ".".join(str(part) for part in details["loc"])
    if details["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return unknown_key(dotted)
    given = details["input"]
    if details["type"] == "literal_error" and isinstance(given, str):
        choices = [choice.strip("' ") for choice in details["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return f"`{dotted}` is `{given}`: {nearest(given, choices)}"
    message = details["msg"].replace("Input should", "it should").replace("an object", "a table")
    return f"`{dotted}` is `{json.dumps(given, default=str)}`: {message}"


NAMED = (("model", "name"), ("neuron", "name"), ("data", "dataset"))


def name_at(tables: Mapping[str, Any], table: str, key: str) -> str | None:
    """The text at that place of unchecked tables, None where there is none."""
    inner = tables.get(table)
    value = inner.get(key) if isinstance(inner, Mapping) else None
    return value if isinstance(value, str) else None


def name_problems(model: str | None, neuron: str | None, dataset: str | None) -> list[str]:
    """A problem for each name that no registry knows, with the nearest one that it does."""
    from glifcli.data.names import DATASETS
    from glifcli.models.names import NAMES

    known: Iterable[tuple[str, str | None, Iterable[str]]] = (
        ("model.name", model, NAMES),
        ("neuron.name", neuron, SETTINGS),
        ("data.dataset", dataset, DATASETS),
    )
    return [
        f"`{key}` is `{name}`: {nearest(name, names)}"
        for key, name, names in known
        if name is not None and name not in names
    ]


def combination_problems(recipe: Recipe) -> list[str]:
    """A problem for each setting that has no meaning beside the others."""
    problems = []
    if recipe.neuron.name in SETTINGS:
        problems += [
            f"`neuron.{setting}` has no meaning for the neuron `{recipe.neuron.name}`: remove it"
            for setting in unread_settings(recipe.neuron)
        ]
    if recipe.data.validation >= 1 and recipe.data.validation != int(recipe.data.validation):
        problems.append(
            f"`data.validation` is `{recipe.data.validation}`: give a share below 1 or a whole number of images"
        )
    if recipe.data.resize and not 0 < recipe.data.image_size <= recipe.data.resize:
        problems.append(
            f"`data.resize` is `{recipe.data.resize}`, of which `data.image_size` `{recipe.data.image_size}` cannot be "
            f"cut out: set `data.image_size` to 1 to {recipe.data.resize}"
        )
    if recipe.data.resize and recipe.data.dataset == "eventframes":
        problems.append(
            "`data.resize` has no meaning for `eventframes`, which are not cut: set `data.image_size` alone"
        )
    if recipe.augment.random_resized_crop and recipe.augment.crop_padding:
        problems.append(
            "`augment.crop_padding` has no meaning beside `augment.random_resized_crop`: remove one of them"
        )
    if recipe.optim.schedule == "onecycle" and recipe.optim.warmup_epochs:
        problems.append("`optim.warmup_epochs` has no meaning for the schedule `onecycle`, which warms up: remove it")
    if recipe.optim.nesterov and (recipe.optim.name != "sgd" or not recipe.optim.momentum):
        problems.append("`optim.nesterov` needs `optim.name` `sgd` and an `optim.momentum` above 0: remove it")
    if recipe.optim.schedule == "constant" and recipe.optim.final_lr_scale:
        problems.append("`optim.final_lr_scale` has no meaning for the schedule `constant`: remove it")
    if recipe.loss.tet_lambda != Loss().tet_lambda and not recipe.loss.tet:
        problems.append("`loss.tet_lambda` has no meaning without `loss.tet`: set `loss.tet=true`, or remove it")
    if recipe.optim.warmup_epochs > recipe.train.epochs:
        problems.append(
            f"`optim.warmup_epochs` is `{recipe.optim.warmup_epochs:g}`, more than the {recipe.train.epochs} epochs "
            "of `train.epochs`: lower it"
        )
    return problems


def way_out(problems: Iterable[str], source: str, overrides: Iterable[str]) -> str:
    """What to change: an override where one is named among the problems, else the file."""
    text = "\n".join(problems)
    parts = {dotted: dotted.split(".") for dotted in overrides}
    blamed = [
        dotted
        for dotted, names in parts.items()
        if any(f"`{'.'.join(names[:count])}`" in text for count in range(1, len(names) + 1))
    ]
    if blamed:
        given = ", ".join(f"`{dotted}`" for dotted in blamed)
        return f"change the flag, `--set` or `GLIF_…` variable that gives {given}"
    return f"edit {source}; `glif train --dry-run` shows a recipe with every key"
