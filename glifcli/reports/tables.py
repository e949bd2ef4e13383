"""Reports as tables for the terminal; each takes the JSON objects of `document.py` and returns a renderable.

Cells are plain ASCII, so that any terminal and any pipe can take them, and escaped, so that a name such as
`layers[0]` is not read as markup.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from glifcli.reports.document import engineering, percent, ratio
from glifcli.reports.gates import VALUES
from glifcli.reports.operations import AC_PJ, MAC_PJ

# What has an initial value to drift from.
DRIFTING = (*VALUES, "conductance")

# Up to that many time steps are written out; of more, the first and the last.
STEPS_SHOWN = 4


def facts_table(title: str, facts: Mapping[str, object]) -> Table:
    """A fact a row, its name before it."""
    table = Table(title=title, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, escape(str(value)))
    return table


def summary_table(report: Mapping[str, Any]) -> Table:
    """Accuracy, loss, speed and firing rate of an evaluation."""
    facts = {
        "checkpoint": report["checkpoint"],
        "model": f"{report['model']}, {report['neuron']}, T = {report['time_steps']}{_remade(report)}",
        "data": f"{report['dataset']}, {report['split']}, {report['images']} images",
        "top-1": percent(report["accuracy"]["top1"]),
        "top-5": percent(report["accuracy"]["top5"]),
        "loss": f"{report['loss']:.4f}",
        "firing rate": f"{report['firing_rate']['network']:.4f} spikes per neuron and time step",
        "speed": f"{report['images_per_second']:.1f} images/s ({report['seconds']:.1f} s)",
        "on": f"{report['device']}, {report['precision']}, backend {report['backend']}",
    }
    return facts_table("Evaluation", facts)


def layers_table(report: Mapping[str, Any]) -> Table:
    """Firing rate and share of silent neurons of every layer of an evaluation."""
    table = Table(title="Firing: spikes per neuron and time step")
    table.add_column("layer", no_wrap=True)
    for column in ("rate", "silent"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("by time step")
    for layer in report["firing_rate"]["layers"]:
        silent, steps = percent(layer["silent_fraction"]), _steps(layer["per_step"])
        table.add_row(escape(layer["name"]), f"{layer['rate']:.4f}", silent, steps)
    table.add_section()
    table.add_row("network", f"{report['firing_rate']['network']:.4f}", "", "", style="bold")
    return table


def energy_table(report: Mapping[str, Any]) -> Table:
    """Operations and energy beside the same network as an ANN; no rows where they were not counted."""
    table = Table(title="Operations and energy per image", caption=f"45 nm: {MAC_PJ} pJ a MAC, {AC_PJ} pJ an AC")
    table.add_column("")
    table.add_column("spiking", justify="right")
    table.add_column("as an ANN", justify="right")
    o = report["operations"]
    if o is None:
        return table
    table.add_row("MACs", engineering(o["macs"]), engineering(o["ann_macs"]))
    table.add_row("ACs", engineering(o["acs"]), "0")
    table.add_row("neurons' operations", engineering(o["neuron_ops"]), "0")
    table.add_row("synaptic operations, exact", engineering(o["synaptic_operations"]), "")
    table.add_section()
    table.add_row("energy of neurons", f"{o['neuron_energy_uj']:.4g} uJ", "0 uJ")
    table.add_row("energy", f"{o['energy_uj']:.4g} uJ", f"{o['ann_energy_uj']:.4g} uJ", style="bold")
    table.add_row("relative to the ANN", ratio(o["energy_uj"], o["ann_energy_uj"]), "1")
    return table


def gates_table(layers: Sequence[Mapping[str, Any]]) -> Table:
    """Gates of every layer, mean (standard deviation) over its channels (size), and nearest behaviour."""
    table = Table(title="Gates: mean (standard deviation) and nearest behaviour")
    table.add_column("layer", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    gates = {"alpha": "leak", "beta": "conductance", "gamma": "reset"}
    for gate, behaviour in gates.items():
        table.add_column(f"{gate}: {behaviour}")
    for layer in layers:
        cells = [f"{_mean_std(layer[gate])} {layer['nearest'][name]}" for gate, name in gates.items()]
        table.add_row(escape(layer["name"]), str(layer["channels"]), *cells)
    return table


def membrane_table(layers: Sequence[Mapping[str, Any]]) -> Table:
    """Membrane values of every layer, means over channels; the conductance by time step."""
    table = Table(title="Membrane: means over channels")
    table.add_column("layer", no_wrap=True)
    names = ("tau", "threshold", "leak", "reset", "decay")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("conductance")
    for layer in layers:
        cells = ["-" if layer[name] is None else f"{layer[name]['mean']:.3f}" for name in names]
        steps = layer["conductance"]
        conductance = _steps([step["mean"] for step in steps]) if steps else "-"
        table.add_row(escape(layer["name"]), *cells, conductance)
    return table


def drift_table(layers: Sequence[Mapping[str, Any]]) -> Table:
    """How far the means of every layer have moved from their initial values."""
    table = Table(title="Drift: means less their initial values")
    table.add_column("layer", no_wrap=True)
    shown = [name for name in DRIFTING if any(name in layer["drift"] for layer in layers)]
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for layer in layers:
        drift = layer["drift"]
        table.add_row(escape(layer["name"]), *(f"{drift[name]:+.3f}" if name in drift else "-" for name in shown))
    return table


def comparison_table(layers: Sequence[Mapping[str, Any]]) -> Table:
    """Differences of two networks layer by layer, those of the gates; see `comparison_json` for all."""
    table = Table(title="Means of the second network less those of the first")
    table.add_column("layer", no_wrap=True)
    names = ("alpha", "beta", "gamma", "conductance", "decay")
    shown = [name for name in names if any(name in layer["means"] for layer in layers)]
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("behaviour")
    for layer in layers:
        cells = [f"{layer['means'][name]:+.3f}" if name in layer["means"] else "-" for name in shown]
        changed = ", ".join(f"{first} -> {second}" for first, second in layer["nearest"].values())
        table.add_row(escape(layer["name"]), *cells, changed or "the same")
    return table


def _remade(report: Mapping[str, Any]) -> str:
    """How the network came to its time steps, where they are not those that it was trained with."""
    if report.get("trained_time_steps", report["time_steps"]) == report["time_steps"]:
        return ""
    return f" (trained with {report['trained_time_steps']}, conductance {report['conductance']})"


def _mean_std(stats: Mapping[str, Any] | None) -> str:
    return "-" if stats is None else f"{stats['mean']:.3f} ({stats['std']:.3f})"


def _steps(values: Sequence[float]) -> str:
    texts = [f"{value:.3f}" for value in values]
    return " ".join(texts) if len(texts) <= STEPS_SHOWN else f"{texts[0]} .. {texts[-1]}"
