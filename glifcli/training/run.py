"""The run folder: where a run's recipe, environment, metrics, models and trainer state lie."""

import contextlib
import io
import json
import os
import shlex
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from glifcli import recipe as recipes
from glifcli.checkpoint import BEST, LAST
from glifcli.errors import CheckpointError, GlifError, SaveError
from glifcli.files import check_writable, make_folder, remove_leftovers, save_error, write_atomically
from glifcli.recipe import Recipe

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

RECIPE, ENVIRONMENT, METRICS, TRAINER = "recipe.toml", "env.json", "metrics.jsonl", "trainer.pt"
REPORT, REPORT_TEXT = "report.json", "report.md"
GATES, CURVES, RATES = "gates.png", "curves.png", "rates.png"
FILES = (RECIPE, ENVIRONMENT, METRICS, TRAINER, REPORT, REPORT_TEXT, GATES, CURVES, RATES, BEST, LAST)
STATE_FORMAT = 1


def first_line(error: Exception) -> str:
    """What an exception says in a line."""
    return (str(error) or type(error).__name__).splitlines()[0]


@dataclass(frozen=True)
class Run:
    """A run folder. Each file in it is replaced as a whole, so that a kill leaves the old one or the new."""

    path: Path

    @property
    def best(self) -> Path:
        return self.path / BEST

    @property
    def last(self) -> Path:
        return self.path / LAST

    @property
    def chosen(self) -> Path:
        """The model that the run stands for: the best on the validation split, else the last."""
        return self.best if self.best.is_file() else self.last

    @property
    def resume_command(self) -> str:
        """The command that goes on with the run."""
        return f"glif train --resume {shlex.quote(str(self.path))}"

    def holds_run(self) -> bool:
        """Whether a run was begun here."""
        return any((self.path / name).exists() for name in FILES)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Within it this process alone trains here. Makes the folder. Raises GlifError where another one does."""
        make_folder(self.path)
        if fcntl is None:
            yield
            return
        folder = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise GlifError(
                    f"another process trains in `{self.path}`", "wait for its end, or give another `--output`"
                ) from None
            except OSError:
                pass  # a file system without locks
            yield
        finally:
            os.close(folder)

    def is_locked(self) -> bool:
        """Whether a process trains here now."""
        try:
            with self.locked():
                return False
        except GlifError:
            return True

    def check_free(self, *, force: bool) -> None:
        """Raises GlifError where the folder cannot take a new run; with `force`, one that is there may go."""
        if self.path.exists() and not self.path.is_dir():
            raise GlifError(f"the output `{self.path}` is a file", "give a folder with `--output`")
        if self.holds_run() and not force:
            raise GlifError(
                f"the folder `{self.path}` holds a run",
                f"`{self.resume_command}` goes on with it, `--force` replaces it",
            )
        if self.path.is_dir() and any(self.path.iterdir()) and not force:
            raise GlifError(
                f"the folder `{self.path}` is not empty", "give a new one with `--output`, or add `--force`"
            )
        check_writable(self.path / RECIPE)

    def create(self, recipe: Recipe, environment: dict[str, Any]) -> None:
        """Begins a run in the folder, in place of one that is there. Raises SaveError."""
        make_folder(self.path)
        try:
            for name in FILES:
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise save_error(self.path, error) from error
        remove_leftovers(self.path, FILES)
        # The recipe first: with it a run is there and can be resumed, without it there is none.
        try:
            self.write(RECIPE, recipes.to_toml(recipe).encode())
            self.write_json(ENVIRONMENT, environment)
        except SaveError:
            with contextlib.suppress(OSError):
                self.path.rmdir()  # only where nothing was written
            raise

    def recipe(self) -> Recipe:
        """The recipe that the run was begun with. Raises GlifError where the folder holds no run."""
        path = self.path / RECIPE
        if not path.is_file():
            raise GlifError(f"`{self.path}` holds no run: it has no `{RECIPE}`", "give a run folder, such as `runs/…`")
        return recipes.check(recipes.read(path), f"`{path}`")

    def write(self, name: str, content: bytes) -> None:
        """Replaces a file of the run. Raises SaveError."""
        write_atomically(self.path / name, content)

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        """Replaces a JSON file of the run. Raises SaveError."""
        self.write(name, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl. Raises CheckpointError for one that is not JSON."""
        path = self.path / METRICS
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        try:
            return [dict(json.loads(line)) for line in lines]
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"`{path}` is damaged: {error}", "remove the line that is not JSON") from None

    def write_metrics(self, lines: Iterable[dict[str, Any]]) -> None:
        """Replaces metrics.jsonl. Raises SaveError."""
        self.write(METRICS, "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines).encode())

    def save_state(self, state: dict[str, Any]) -> None:
        """Replaces the trainer's state. Raises SaveError; the state before is then still there."""
        buffer = io.BytesIO()
        torch.save({"format": STATE_FORMAT, **state}, buffer)
        self.write(TRAINER, buffer.getvalue())

    def load_state(self) -> dict[str, Any] | None:
        """The trainer's state on the CPU, None before the first save. Raises CheckpointError for a damaged one."""
        path = self.path / TRAINER
        if not path.is_file():
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # the unpickler raises nearly anything for a damaged file
            raise CheckpointError(
                f"cannot read the trainer's state `{path}`: {first_line(error)}",
                f"its weights are also in `{self.last}`; begin a new run, or restore the file from a copy",
            ) from None
        if not isinstance(state, dict) or state.get("format") != STATE_FORMAT:
            raise CheckpointError(f"`{path}` is not a trainer's state of this version", "begin a new run")
        return state
