"""The tables of `sweeps.py`: a row a number of time steps, a row a threshold. Cells as in `tables.py`."""

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from glifcli.reports.document import percent, ratio
from glifcli.reports.sweeps import NEVER


def time_steps_table(report: Mapping[str, Any]) -> Table:
    """What `judge_time_steps` found, the trained number in bold."""
    title = f"Time steps: {_title(report)}"
    caption = f"trained with {report['trained_time_steps']}, conductance {report['conductance']}; {_where(report)}"
    table = _table(title, caption, "T", "latency, 1 image")
    for row in report["time_steps"]:
        style = "bold" if row["time_steps"] == report["trained_time_steps"] else None
        table.add_row(str(row["time_steps"]), *_figures(row), f"{row['latency_ms']:.4g} ms", style=style)
    return table


def early_exit_table(report: Mapping[str, Any]) -> Table:
    """What `judge_early_exit` found, the thresholds asked for starred and in bold."""
    title = f"Early exit: {_title(report)}, T = {report['time_steps']}"
    table = _table(title, f"* asked for; {_where(report)}", "threshold", "mean T", "stopped after step 1, 2, ...")
    for row in report["early_exit"]["thresholds"]:
        asked = row["threshold"] in report["early_exit"]["asked"]
        if row["threshold"] == NEVER:
            table.add_section()
        name = "never" if row["threshold"] == NEVER else f"{row['threshold']:g}"
        name = f"* {name}" if asked else name
        exits = " ".join(f"{100 * share:.0f}" for share in row["exits"]) + " %"
        table.add_row(name, *_figures(row), f"{row['mean_time_steps']:.3f}", exits, style="bold" if asked else None)
    return table


def _table(title: str, caption: str, first: str, *more: str) -> Table:
    table = Table(title=title, caption=caption)
    for column in (first, "top-1", "top-5", "loss", "firing rate", "energy", "of ANN", *more):
        table.add_column(column, justify="right")
    return table


def _figures(row: Mapping[str, Any]) -> list[str]:
    """Accuracy, loss, firing rate and energy of a row."""
    return [
        percent(row["accuracy"]["top1"]),
        percent(row["accuracy"]["top5"]),
        f"{row['loss']:.4f}",
        f"{row['firing_rate']:.4f}",
        f"{row['energy_uj']:.4g} uJ",
        ratio(row["energy_uj"], row["ann_energy_uj"]),
    ]


def _title(report: Mapping[str, Any]) -> str:
    return escape(f"{report['model']}, {report['neuron']}, {report['dataset']} {report['split']}")


def _where(report: Mapping[str, Any]) -> str:
    return escape(f"{report['images']} images, {report['device']}, {report['precision']}, backend {report['backend']}")
