"""Conversions as tables for the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from glifcli.reports.document import percent
from glifcli.reports.tables import facts_table


def conversion_table(report: Mapping[str, Any]) -> Table:
    """What was read and what was made of it."""
    steps, trained, width = report["time_steps"], report["trained_time_steps"], report["width"]
    facts = {
        "from": f"{report['source']}, {report['format']}",
        "model": report["model"] if width == 1 else f"{report['model']}, width {width:g}",
        "neuron": f"{report['neuron']}, {report['share']}-wise",
        "time steps": steps if steps == trained else f"{steps}, trained with {trained}",
        "classes": report["classes"],
        "tensors": f"{report['keys']}, all used" + (f", {report['left_out']} left out" if report["left_out"] else ""),
        "images": report["dataset"] or "not known",
        "mean": " ".join(f"{value:.4g}" for value in report["mean"]),
        "std": " ".join(f"{value:.4g}" for value in report["std"]),
        "to": f"{report['output']}, {report['to']}",
    }
    return facts_table("Conversion", facts)


def hardening_table(hardening: Mapping[str, Any]) -> Table:
    """The gates' rounding layer by layer."""
    table = Table(title="Rounded gates: share at 1 (how far they moved, mean over channels)")
    table.add_column("layer", no_wrap=True)
    for column in ("alpha: exponential", "beta: time-dependent", "gamma: hard"):
        table.add_column(column, justify="right")
    layers: dict[str, list[str]] = {}
    for rounding in hardening["gates"]:
        layers.setdefault(rounding["layer"], []).append(f"{percent(rounding['ones'])} ({rounding['moved']:.3f})")
    for layer, cells in layers.items():
        table.add_row(escape(layer), *cells)
    return table


def cost_table(hardening: Mapping[str, Any]) -> Table:
    """Accuracy, loss, firing rate and energy before and after the gates were rounded."""
    table = Table(title=f"What rounding costs: {escape(hardening['dataset'])}, test")
    for column in ("gates", "top-1", "loss", "firing rate", "energy"):
        table.add_column(column, justify="left" if column == "gates" else "right")
    for name, gates in (("before", "as trained"), ("after", "rounded")):
        row = hardening[name]
        numbers = f"{row['loss']:.4f}", f"{row['firing_rate']:.4f}", f"{row['energy_uj']:.4g} uJ"
        table.add_row(gates, percent(row["top1"]), *numbers)
    return table
