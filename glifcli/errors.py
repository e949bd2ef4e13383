"""What can go wrong, in the user's words: a message with the value, a hint with the fix, an exit code."""

import difflib
from collections.abc import Iterable


class GlifError(Exception):
    """Bad input or configuration (exit 2). `message` says what is wrong, `hint` the command or edit that mends it."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RecipeError(GlifError):
    """A recipe with one or more problems; `problems` holds a line for each."""

    def __init__(self, source: str, problems: list[str], hint: str = "") -> None:
        self.problems = problems
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"{count} in recipe {source}\n{lines}", hint)


class DataError(GlifError):
    """A data set that is missing, empty or unreadable."""


class CheckpointError(GlifError):
    """A model file that is missing, damaged, foreign or of another architecture."""


class ModelError(GlifError, ValueError):
    """A tensor or a setting that does not fit a neuron or a network; a ValueError for users of the library."""


class SaveError(GlifError):
    """A file could not be written; what stood at its place before is still there."""


class AnswerNo(GlifError):
    """The command ran and its answer is no (exit 1): an accuracy below the one asked for, a loss that diverged."""

    exit_code = 1


class Interrupted(GlifError):
    """Stopped by Ctrl-C or SIGTERM after saving (exit 130)."""

    exit_code = 130


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean X?` for the known name nearest to `name`, or the list of all where none is near."""
    names = sorted(known)
    matches = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    if matches:
        return f"did you mean `{matches[0]}`?"
    return "known: " + ", ".join(f"`{known_name}`" for known_name in names)
