"""Finds the zoo and what is in it. Reads files, never the network."""

import difflib
import os
from pathlib import Path

from glifcli.errors import GlifError

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
    matches = [name for name in known if reference == name or reference in name.split("/")]
    choices = ", ".join(f"`{name}`" for name in matches)
    if path.is_file() and matches:
        raise GlifError(
            f"`{reference}` is a file here and, in the zoo, {choices}",
            f"`glif train ./{reference}` for the file, `glif train {known[matches[0]]}` for the recipe",
        )
    if path.is_file():
        return path.stem, path
    if len(matches) == 1:
        return matches[0], known[matches[0]]
    if matches:
        raise GlifError(f"the recipe `{reference}` could be {choices}", f"`glif train {matches[0]}`")
    if path.suffix == ".toml":
        raise GlifError(f"no recipe file `{reference}`", "check the path, or see `glif list` for the zoo's recipes")
    parts = {part for name in known for part in name.split("/")}
    near = difflib.get_close_matches(reference.lower(), [*known, *parts], n=1, cutoff=0.5)
    hint = f"did you mean `{near[0]}`? `glif list` shows all" if near else "`glif list` shows the recipes"
    raise GlifError(f"no recipe `{reference}`", hint)
