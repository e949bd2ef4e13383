"""What `glif eval` is asked for beside the network as it was trained: other time steps, early exits."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from glifcli.errors import AnswerNo, GlifError, nearest

TimeSteps = Annotated[
    str | None,
    typer.Option(
        "--time-steps",
        help="Run at that many time steps instead of the trained ones; of several, a table.",
        metavar="N[,N...]",
        show_default=False,
    ),
]
EarlyExit = Annotated[
    str | None,
    typer.Option(
        "--early-exit",
        help="Stop each image where it is surer of its class than that, above 0, up to 1; a table of thresholds.",
        metavar="P[,P...]",
        show_default=False,
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", help="Draw the curve of --early-exit to a PNG file.", metavar="FILE", show_default=False),
]


Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Asked:
    """time_steps: empty for the trained ones. thresholds: empty where no image stops early."""

    time_steps: tuple[int, ...]
    conductance: str
    thresholds: tuple[float, ...]


def asked(time_steps: str | None, conductance: str | None, early_exit: str | None, plot: Path | None) -> Asked:
    """The options as values. Raises GlifError for one that is no such list, and for those that do not go together."""
    from glifcli.models.time_steps import CONDUCTANCES

    steps = () if time_steps is None else _list("--time-steps", time_steps, _steps, "1,2,4", "whole numbers from 1")
    thresholds = (
        () if early_exit is None else _list("--early-exit", early_exit, _share, "0.9", "numbers above 0, up to 1")
    )
    if conductance is not None and conductance not in CONDUCTANCES:
        raise GlifError(f"`--conductance` is `{conductance}`", nearest(conductance, CONDUCTANCES))
    if conductance is not None and time_steps is None:
        raise GlifError(
            f"`--conductance {conductance}` has no meaning for the trained number of time steps",
            f"add `--time-steps N`, or leave `--conductance {conductance}` out",
        )
    if plot is not None and early_exit is None:
        raise GlifError(f"`--plot {plot}` draws the curve of an early exit", "add `--early-exit 0.9`")
    if len(steps) > 1 and thresholds:
        raise GlifError(
            f"`--early-exit {early_exit}` stops within one number of time steps, not `--time-steps {time_steps}`",
            f"give one, such as `--time-steps {steps[-1]}`",
        )
    return Asked(steps, conductance or "hold", thresholds)


def check_accuracy(found: dict[str, float], least: float | None) -> None:
    """Raises AnswerNo where one of the accuracies, by what each is of ("" for the only one), is below `least`."""
    if least is None:
        return
    where, lowest = min(found.items(), key=lambda item: item[1])
    if lowest < least:
        of = f" {where}" if where else ""
        raise AnswerNo(
            f"the accuracy {lowest:.4f}{of} is below `--min-accuracy {least:g}`", "train longer, or ask for less"
        )


def accuracies(report: dict[str, Any]) -> dict[str, float]:
    """The accuracies that were asked for, by what each is of: of an early exit those of the thresholds given."""
    if "early_exit" in report:
        rows, wanted = report["early_exit"]["thresholds"], report["early_exit"]["asked"]
        chosen = {f"with `--early-exit {row['threshold']:g}`": row for row in rows if row["threshold"] in wanted}
    elif isinstance(report["time_steps"], list):
        chosen = {f"at {row['time_steps']} time steps": row for row in report["time_steps"]}
    else:
        chosen = {"": report}
    return {where: row["accuracy"]["top1"] for where, row in chosen.items()}


def _list(flag: str, text: str, parse: Callable[[str], Number | None], example: str, wanted: str) -> tuple[Number, ...]:
    """The numbers of a list with commas, each once, the least first."""
    numbers = set()
    for part in text.split(","):
        number = parse(part.strip())
        if number is None:
            whole = "" if part == text else f", of which `{part}` is none"
            raise GlifError(f"`{flag}` is `{text}`{whole}", f"give {wanted}, such as `{flag} {example}`")
        numbers.add(number)
    return tuple(sorted(numbers))


def _steps(text: str) -> int | None:
    # Longer numbers than Python reads are none either.
    return int(text) if text.isdecimal() and len(text) < 10 and int(text) >= 1 else None


def _share(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number <= 1 else None
