"""Recipes: TOML in, frozen dataclasses out, every problem reported at once.

A recipe is all that a training run depends on. `read` takes a file, `check` applies overrides such as `optim.lr=0.05`
and checks the whole.
"""

from glifcli.recipe.reading import PLACE_KEYS, check, differences, flat, parse_set, read, to_toml
from glifcli.recipe.tables import Augment, Data, Loss, Model, Optim, Recipe, Train, keys

__all__ = [
    "PLACE_KEYS",
    "Augment",
    "Data",
    "Loss",
    "Model",
    "Optim",
    "Recipe",
    "Train",
    "check",
    "differences",
    "flat",
    "keys",
    "parse_set",
    "read",
    "to_toml",
]
