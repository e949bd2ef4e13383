"""Draws what goes on: a bar on a terminal, a line an epoch elsewhere; all on stderr."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from glifcli.cli.output import console, note
from glifcli.training.events import EpochDone, Event, Started, Step

Item = TypeVar("Item")


@contextlib.contextmanager
def bar(quiet: bool) -> Iterator[Progress]:
    """A progress display, silent where stderr is no terminal or `quiet` is asked for."""
    err = console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Progress(*columns, console=err, disable=quiet or not err.file.isatty(), transient=True) as progress:
        yield progress


@contextlib.contextmanager
def watched(text: str, quiet: bool) -> Iterator[Callable[[Iterable[Item], int], Iterable[Item]]]:
    """A function that hands items on and draws how many of how many were taken."""
    with bar(quiet) as progress:

        def watch(items: Iterable[Item], total: int) -> Iterable[Item]:
            task = progress.add_task(text, total=total, detail="")
            for item in items:
                yield item
                progress.advance(task)

        yield watch


def draw(events: Iterable[Event], quiet: bool) -> Event:
    """Draws a training run to its last event, which it returns."""
    event: Event | None = None
    with bar(quiet) as progress:
        task = progress.add_task("", total=None, detail="")
        for event in events:
            if isinstance(event, Started):
                started = event
                note(headline(event), quiet=quiet)
            elif isinstance(event, Step):
                progress.update(
                    task,
                    description=f"epoch {event.epoch}/{started.epochs}",
                    completed=event.step,
                    total=started.steps_per_epoch,
                    detail=f"loss {event.loss:.4f}",
                )
            elif isinstance(event, EpochDone):
                note(epoch_line(event, started.epochs), quiet=quiet)
    assert event is not None
    return event


def headline(started: Started) -> str:
    """Where and how the run goes."""
    done = f", resumed after epoch {started.epoch}, step {started.step}" if started.epoch or started.step else ""
    if started.epoch == started.epochs:
        done = ", trained to its end already: only the report is made anew"
    compiled = ", torch.compile (a minute or more before the first step)" if started.compiled else ""
    if started.compile_missing:
        compiled = ", not compiled, as there is no C++ compiler"
    return (
        f"{started.run_dir}: {started.parameters:,} parameters, {started.images:,} images, "
        f"{started.epochs} epochs of {started.steps_per_epoch} steps, device {started.device}, "
        f"precision {started.precision}, backend {started.backend}{compiled}{done}"
    )


def epoch_line(event: EpochDone, epochs: int) -> str:
    """An epoch's figures in a line."""
    line = event.metrics
    validation = f", validation {100 * line['val_top1']:.2f} %" if line["val_top1"] is not None else ""
    return (
        f"epoch {line['epoch']}/{epochs}: loss {line['train_loss']:.4f}, training "
        f"{100 * line['train_accuracy']:.2f} %{validation}, firing rate {line['firing_rate']['network']:.3f}, "
        f"{line['images_per_second']:.0f} images/s"
    )
