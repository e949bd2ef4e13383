"""The floors of the house: imports run down only, and only the command line prints or ends the process."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "glifcli"

# Rooms by floor, the highest first. Rooms of one floor may import each other, but for those of APART.
FLOORS = (
    ("cli",),
    ("training", "convert", "export", "hub", "benchmark"),
    ("reports", "data", "checkpoint", "recipe", "zoo", "files", "device", "memory", "environment", "timing"),
    ("models",),
    ("neurons",),
    ("ops",),
)
APART = {"training", "convert", "export", "hub", "benchmark"}
LEVEL = {room: -number for number, rooms in enumerate(FLOORS) for room in rooms}
# The first resolves names when they are asked for, the second is the door of `python -m glifcli`.
EXEMPT = {"__init__.py", "__main__.py"}

FILES = sorted(path for path in PACKAGE.rglob("*.py") if "_zoo" not in path.parts)
INSIDE = [path for path in FILES if path.relative_to(PACKAGE).as_posix() not in EXEMPT]


def room(path: Path) -> str:
    """The room that a file is in, or is."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under `if TYPE_CHECKING`, which do not run."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            for other in child.orelse:
                yield other
                yield from nodes(other)
        else:
            yield child
            yield from nodes(child)


def imported(path: Path) -> set[str]:
    """The rooms that a file imports, anywhere in it."""
    package = ("glifcli", *path.relative_to(PACKAGE).parts[:-1])
    names = set()
    for node in nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *([node.module] if node.module else ())))
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("glifcli.")}


def test_there_is_something_to_read() -> None:
    assert len(INSIDE) > 50
    assert {room(path) for path in INSIDE} >= {"cli", "training", "reports", "data", "models", "neurons", "ops"}
    assert sum(len(imported(path)) for path in INSIDE) > 100


def test_every_room_has_a_floor() -> None:
    assert {room(path) for path in INSIDE} <= LEVEL.keys() | {"errors"}


@pytest.mark.parametrize("path", INSIDE, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_run_down_only(path: Path) -> None:
    own = room(path)
    # `__version__` is a value of the package, known before anything is imported.
    for other in imported(path) - {own, "errors", "__version__"}:
        assert other in LEVEL, f"glifcli.{other} has no floor"
        assert own != "errors", "errors imports nothing"
        assert LEVEL[other] <= LEVEL[own], f"{own} imports {other}, which is above it"
        assert not (own in APART and other in APART), f"{own} imports {other}, beside it"


@pytest.mark.parametrize("path", INSIDE, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_only_the_command_line_prints_or_ends_the_process(path: Path) -> None:
    if room(path) == "cli":
        return
    for node in nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name):
            assert node.id != "SystemExit", f"line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"print", "input", "exit", "quit"}, f"line {node.lineno}: {node.func.id}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            called = f"{node.value.id}.{node.attr}"
            assert called not in {"sys.exit", "os._exit", "os.abort", "sys.argv"} - allowed(path), f"line {node.lineno}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            assert not {name.split(".")[0] for name in names} & {"typer", "click", "argparse"}
            # Reports may make tables; who prints them is the command line.
            assert not set(names) & {"rich", "rich.console", "rich.progress", "rich.live"}, f"line {node.lineno}"


def allowed(path: Path) -> set[str]:
    """The command line belongs to what a computation ran on; it is recorded, not read."""
    return {"sys.argv"} if room(path) == "environment" else set()


def test_what_is_looked_for_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The readers above see imports inside functions, relative ones, and not those for type checkers."""
    monkeypatch.setattr("tests.test_floors.PACKAGE", tmp_path)
    (tmp_path / "ops").mkdir()
    file = tmp_path / "ops" / "bad.py"
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "import glifcli.cli.app\n"
        "from .. import recipe\n"
        "from ..models.registry import MODELS\n"
        "from .sibling import x\n"
        "if TYPE_CHECKING:\n    from glifcli.hub import y\n"
        "def f():\n    from glifcli import zoo, __version__\n"
    )
    assert imported(file) == {"cli", "recipe", "models", "ops", "zoo", "__version__"}
