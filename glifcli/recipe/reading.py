"""Recipes out of TOML, with overrides, and back into it; every problem reported at once."""

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import TypeAdapter, ValidationError

from glifcli.errors import GlifError, RecipeError
from glifcli.recipe.problems import (
    NAMED,
    combination_problems,
    explain,
    name_at,
    name_problems,
    unknown_key,
    way_out,
)
from glifcli.recipe.tables import Recipe, keys

ADAPTER = TypeAdapter(Recipe)

# What a resumed run may be given anew: where it runs and where its images lie, not what it computes.
PLACE_KEYS = frozenset(
    {
        "data.data_dir",
        "data.download",
        "data.workers",
        "train.device",
        "train.backend",
        "train.compile",
        "train.save_minutes",
    }
)


def read(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, unchecked. Raises RecipeError, with the line, for one that is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"`{path}`", [f"not TOML: {error}"], "mend that line") from None
    except UnicodeDecodeError:
        raise RecipeError(f"`{path}`", ["not a text file in UTF-8"], "give a recipe in TOML") from None
    except OSError as error:
        raise GlifError(f"cannot read the recipe `{path}`: {error.strerror}", "`glif list` shows recipes") from None


def parse_set(assignment: str) -> tuple[str, Any]:
    """`optim.lr=0.05` as the key and its value in TOML; a value that is not TOML is taken as text."""
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise GlifError(f"`--set {assignment}` is not a key and a value", "write `--set optim.lr=0.05`")
    try:
        tables = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return key.strip(), text
    # Text with a line break can be TOML of several keys.
    return key.strip(), tables["value"] if len(tables) == 1 else text


def check(tables: Mapping[str, Any], source: str, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe of those tables, with dotted keys such as `optim.lr` overridden.

    Raises RecipeError with all that is wrong: unknown keys and names with the nearest known one, wrong types,
    values out of bounds.
    """
    merged = {key: dict(value) if isinstance(value, Mapping) else value for key, value in tables.items()}
    problems = []
    for dotted, value in (overrides or {}).items():
        *parents, leaf = dotted.split(".")
        table: Any = merged
        for parent in parents:
            table = table.setdefault(parent, {}) if isinstance(table, dict) else None
        if isinstance(table, dict):
            table[leaf] = value
        else:
            problems.append(unknown_key(dotted))
    try:
        recipe = ADAPTER.validate_json(json.dumps(merged, default=repr_of))
    except ValidationError as error:
        problems += [explain(dict(details)) for details in error.errors()]
        problems += name_problems(*(name_at(merged, *path) for path in NAMED))
    else:
        problems += name_problems(recipe.model.name, recipe.neuron.name, recipe.data.dataset)
        problems += combination_problems(recipe)
    if problems:
        raise RecipeError(source, problems, way_out(problems, source, overrides or {}))
    return recipe


def repr_of(value: object) -> dict[str, str]:
    """What a TOML date or time is checked as: of a type that no key has."""
    return {type(value).__name__: str(value)}


def to_toml(recipe: Recipe) -> str:
    """The recipe in full, every default written out."""
    return tomli_w.dumps(dataclasses.asdict(recipe))


def differences(one: Recipe, other: Recipe) -> list[str]:
    """The dotted keys, places aside, at which two recipes differ, each with both values."""
    a, b = (flat(recipe) for recipe in (one, other))
    return [f"`{key}`: `{a[key]}` and `{b[key]}`" for key in a if key not in PLACE_KEYS and a[key] != b[key]]


def flat(recipe: Recipe) -> dict[str, Any]:
    """Every value of a recipe by its dotted key."""
    tables = dataclasses.asdict(recipe)
    return {key: tables[key.partition(".")[0]][key.partition(".")[2]] if "." in key else tables[key] for key in keys()}
