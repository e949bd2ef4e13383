"""A user's table of what the parts of a network are called, in TOML."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from glifcli.errors import CheckpointError, GlifError

EXAMPLE = '`[keys]` with lines such as `"layer1.0.sn1" = "layers.0.neuron1"`'


def read_map(path: Path) -> dict[str, str]:
    """The table `keys`: a name, or the beginning of one up to a dot, to ours. Raises GlifError."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("keys")
    except OSError as error:
        raise GlifError(f"cannot read the map `{path}`: {error.strerror}", f"give a TOML file, {EXAMPLE}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GlifError(f"the map `{path}` is not TOML: {error}", f"write {EXAMPLE}") from None
    if not isinstance(table, dict) or not table:
        raise GlifError(f"the map `{path}` has no table `keys`", f"write {EXAMPLE}")
    odd = [f"`{theirs}` is `{ours}`" for theirs, ours in table.items() if not isinstance(ours, str)]
    if odd:
        raise GlifError(f"the map `{path}` does not map to names: {', '.join(odd)}", f"write {EXAMPLE}")
    return table


def renamed(tensors: Mapping[str, Tensor], names: Mapping[str, str], source: str) -> dict[str, Tensor]:
    """The tensors with the longest beginning that the map knows replaced; what becomes `` is left out.

    Raises CheckpointError for an entry of the map that meets no tensor, and for two tensors of one name.
    """
    found: dict[str, Tensor] = {}
    used = set()
    problems = []
    for key, value in tensors.items():
        parts = key.split(".")
        begins = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
        old = next((begin for begin in begins if begin in names), None)
        if old is not None:
            used.add(old)
            if not names[old]:
                continue
        new = key if old is None else names[old] + key.removeprefix(old)
        if new in found:
            problems.append(f"`{key}` is one more `{new}`")
        found[new] = value
    problems += [f"`{old}` meets no tensor" for old in names if old not in used]
    if problems:
        raise CheckpointError(f"the map does not fit `{source}`: {'; '.join(problems)}", f"mend the map: {EXAMPLE}")
    return found
