"""Finds the zoo and what is in it. Reads files, never the network."""

import os
from pathlib import Path

from glifcli.errors import GlifError, nearest

PACKAGE = Path(__file__).parent


def folder() -> Path:
    """The zoo: `GLIF_ZOO`, else the copy inside an installed package, else the one of the checkout."""
    if os.environ.get("GLIF_ZOO"):
        return Path(os.environ["GLIF_ZOO"])
    installed = PACKAGE / "_zoo"
    return installed if installed.is_dir() else PACKAGE.parent / "zoo"


def recipes() -> dict[str, Path]:
    """Every recipe of the zoo by its name, `<data>/<model>`. Raises GlifError where there is no zoo."""
    root = folder() / "recipes"
    found = {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted(root.glob("*/*.toml"))}
    if not found:
        raise GlifError(f"no recipes in the zoo `{folder()}`", "unset `GLIF_ZOO`, or install glif again")
    return found


def find_recipe(reference: str) -> tuple[str, Path]:
    """The name and file of a recipe: a path to a TOML file, `<data>/<model>`, or a part of it that only one has.

    Raises GlifError for one that is unknown or could be several.
    """
    known = recipes()
    path = Path(reference)
    is_file = path.is_file()
    if is_file and reference in known:
        raise GlifError(
            f"`{reference}` is a file here and a recipe of the zoo",
            f"write `./{reference}` for the file, `{known[reference]}` for the recipe",
        )
    if is_file:
        return path.stem, path
    if reference in known:
        return reference, known[reference]
    matches = [name for name in known if reference in name.split("/")]
    if len(matches) == 1:
        return matches[0], known[matches[0]]
    if matches:
        choices = ", ".join(f"`{name}`" for name in matches)
        raise GlifError(f"the recipe `{reference}` could be {choices}", f"`glif train {matches[0]}`")
    if path.suffix == ".toml":
        raise GlifError(f"no recipe file `{reference}`", "check the path, or see `glif list` for the zoo's recipes")
    parts = {part for name in known for part in name.split("/")}
    raise GlifError(f"no recipe `{reference}`", f"{nearest(reference, [*known, *parts])} (`glif list` shows all)")
