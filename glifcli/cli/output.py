"""What reaches the user: answers on stdout, everything else on stderr."""

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from glifcli.errors import GlifError, SaveError
from glifcli.files import check_writable, make_folder, write_atomically

# Tables keep this width where no terminal gives one.
PLAIN_WIDTH = 120


class PipeConsole(Console):
    """A console that goes on without a reader; Rich's own ends the process, with the code of an answer no."""

    def on_broken_pipe(self) -> None:
        let_go(self.file)


def let_go(stream: Any) -> None:
    """Sends what the stream still gets to nowhere, so that Python does not fail to flush it at its end."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def console(*, stderr: bool = False) -> Console:
    """A console for stdout or stderr as it is now."""
    # None where the process was started with the stream closed; typeshed has it otherwise.
    stream: TextIO | None = sys.stderr if stderr else sys.stdout
    terminal = stream is not None and stream.isatty()
    return PipeConsole(file=stream, stderr=stderr, width=None if terminal else PLAIN_WIDTH, highlight=False)


@contextlib.contextmanager
def to_stdout() -> Iterator[None]:
    """Within it stdout is written. A reader that has gone is no error; raises SaveError for a full disk."""
    try:
        yield
    except BrokenPipeError:
        let_go(sys.stdout)
    except OSError as error:
        let_go(sys.stdout)
        raise SaveError(f"cannot write to `stdout`: {error.strerror}", "send the output elsewhere") from None


def answer(*parts: RenderableType) -> None:
    """Prints tables or lines to stdout."""
    out = console()
    with to_stdout():
        for part in parts:
            out.print(part)


def answer_json(value: Mapping[str, Any]) -> None:
    """Prints one JSON object, and nothing else, to stdout."""
    answer_text(json_text(value))


def json_text(value: Mapping[str, Any]) -> str:
    """The JSON object of a command's answer."""
    return json.dumps({"schema_version": 1, **value}, indent=2, allow_nan=False)


def answer_text(text: str) -> None:
    """Prints text to stdout as it is."""
    with to_stdout():
        typer.echo(text)


def note(text: str, *, quiet: bool = False) -> None:
    """A line on stderr that tells what is going on."""
    if not quiet:
        to_stderr(Text(text))


def to_stderr(text: Text) -> None:
    """Prints a line to stderr. That nobody can read it stops no training."""
    try:
        console(stderr=True).print(text, soft_wrap=True)
    except OSError:
        let_go(sys.stderr)


def report_error(error: GlifError) -> None:
    """The error and its hint on stderr."""
    to_stderr(Text.assemble(("error: ", "bold red"), error.message))
    if error.hint:
        to_stderr(Text.assemble(("hint: ", "bold cyan"), error.hint))


def debugging() -> bool:
    """Whether `GLIF_DEBUG` asks for tracebacks."""
    return os.environ.get("GLIF_DEBUG", "0") not in ("", "0")


def report_traceback() -> None:
    """The traceback of the exception being handled, on stderr."""
    typer.echo(traceback.format_exc(), err=True)


def check_output(path: Path, *, force: bool) -> None:
    """Raises GlifError, before any work is done, where a file must not or cannot be written. Changes nothing."""
    if path.is_dir():
        raise GlifError(f"the output `{path}` is a folder", "give the path of a file")
    if path.exists() and not path.is_file():
        # A device such as /dev/null, which a file renamed over it would replace.
        raise GlifError(f"the output `{path}` is not a file that can be replaced", "give the path of a file")
    if path.exists() and path.stat().st_size and not force:
        raise GlifError(f"the file `{path}` exists", "give another path, or add `--force`")
    check_writable(path)


def write_output(path: Path, content: bytes, *, force: bool) -> None:
    """Writes a file asked for, and makes the folders above it. Raises GlifError where one is, unless `force`."""
    check_output(path, force=force)
    make_folder(path.parent)
    write_atomically(path, content)
