"""What reaches the user: answers on stdout, everything else on stderr."""

import json
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from glifcli.errors import GlifError
from glifcli.files import make_folder, write_atomically

# Tables keep this width where no terminal gives one.
PLAIN_WIDTH = 120


def console(*, stderr: bool = False) -> Console:
    """A console for stdout or stderr as it is now."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PLAIN_WIDTH, highlight=False)


def answer(*parts: RenderableType) -> None:
    """Prints tables or lines to stdout."""
    out = console()
    for part in parts:
        out.print(part)


def answer_json(value: Mapping[str, Any]) -> None:
    """Prints one JSON object, and nothing else, to stdout."""
    typer.echo(json_text(value))


def json_text(value: Mapping[str, Any]) -> str:
    """The JSON object of a command's answer."""
    return json.dumps({"schema_version": 1, **value}, indent=2, allow_nan=False)


def answer_text(text: str) -> None:
    """Prints text to stdout as it is."""
    typer.echo(text)


def note(text: str, *, quiet: bool = False) -> None:
    """A line on stderr that tells what is going on."""
    if not quiet:
        console(stderr=True).print(Text(text), soft_wrap=True)


def report_error(error: GlifError) -> None:
    """The error and its hint on stderr."""
    err = console(stderr=True)
    err.print(Text.assemble(("error: ", "bold red"), error.message), soft_wrap=True)
    if error.hint:
        err.print(Text.assemble(("hint: ", "bold cyan"), error.hint), soft_wrap=True)


def debugging() -> bool:
    """Whether `GLIF_DEBUG` asks for tracebacks."""
    return os.environ.get("GLIF_DEBUG", "0") not in ("", "0")


def report_traceback() -> None:
    """The traceback of the exception being handled, on stderr."""
    typer.echo(traceback.format_exc(), err=True)


def check_output(path: Path, *, force: bool) -> None:
    """Raises GlifError, before any work is done, where a file must not or cannot be written."""
    if path.is_dir():
        raise GlifError(f"the output `{path}` is a folder", "give the path of a file")
    if path.exists() and path.stat().st_size and not force:
        raise GlifError(f"the file `{path}` exists", "give another path, or add `--force`")
    make_folder(path.parent)
    if not os.access(path.parent, os.W_OK):
        raise GlifError(f"the folder `{path.parent}` cannot be written to", "give a path in another folder")


def write_output(path: Path, content: bytes, *, force: bool) -> None:
    """Writes a file that the user asked for. Raises GlifError where one is, unless `force`."""
    check_output(path, force=force)
    write_atomically(path, content)
