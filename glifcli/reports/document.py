"""Evaluations and gates as JSON objects, whose keys are a contract, and as the `report.md` of a run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from glifcli.reports.evaluation import Evaluation
from glifcli.reports.firing import FiringRates
from glifcli.reports.gates import VALUES, LayerDifference, LayerGates
from glifcli.reports.operations import ASSUMPTIONS

SCHEMA_VERSION = 1


def evaluation_json(
    evaluation: Evaluation,
    gates: Sequence[LayerGates],
    *,
    checkpoint: str,
    model: str,
    neuron: str,
    time_steps: int,
    dataset: str,
    split: str,
    device: str,
    precision: str,
    backend: str,
) -> dict[str, Any]:
    """What `glif eval --json` prints. operations is null where they were not counted."""
    return {
        "schema_version": SCHEMA_VERSION,
        "checkpoint": checkpoint,
        "model": model,
        "neuron": neuron,
        "time_steps": time_steps,
        "dataset": dataset,
        "split": split,
        "images": evaluation.images,
        "accuracy": {"top1": evaluation.top1, "top5": evaluation.top5},
        "loss": evaluation.loss,
        "firing_rate": firing_json(evaluation.firing_rate),
        "operations": None if evaluation.operations is None else _plain(asdict(evaluation.operations)),
        "gates": {"layers": [layer.json() for layer in gates]},
        "seconds": evaluation.seconds,
        "images_per_second": evaluation.images_per_second,
        "device": device,
        "precision": precision,
        "backend": backend,
    }


def gates_json(checkpoint: str, layers: Sequence[LayerGates]) -> dict[str, Any]:
    """What `glif inspect-gates --json` prints."""
    return {
        "schema_version": SCHEMA_VERSION,
        "checkpoint": checkpoint,
        "layers": [layer.json() for layer in layers],
    }


def comparison_json(differences: Sequence[LayerDifference]) -> list[dict[str, Any]]:
    """The layers of `glif inspect-gates --compare`: differences of means, and behaviours that changed."""
    return [_plain(asdict(difference)) for difference in differences]


def firing_json(rates: FiringRates) -> dict[str, Any]:
    """Firing rates as a JSON object: the network's, and every layer's."""
    return _plain(asdict(rates))


def markdown(report: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]], recipe_toml: str) -> str:
    """The text of `report.md`, which lies beside `curves.png`, `rates.png` and `gates.png`.

    report: as `evaluation_json` makes it. metrics: the lines of metrics.jsonl, none for a model that was only
    evaluated. recipe_toml: the resolved recipe, empty to leave it out.
    """
    parts = [_headline(report), _training(metrics), _layers(report), _operations(report), _gates(report)]
    if recipe_toml.strip():
        fence = "````" if "```" in recipe_toml else "```"
        parts.append(f"## Recipe\n\n{fence}toml\n{recipe_toml.strip()}\n{fence}")
    return "\n\n".join(part for part in parts if part) + "\n"


def percent(fraction: float) -> str:
    """A fraction of 1 in percent, two decimals."""
    return f"{100 * fraction:.2f} %"


def engineering(number: float) -> str:
    """A count with three or four digits and k, M or G: 12345678 is 12.35 M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.4g} {letter}"
    return f"{number:.4g}"


def _headline(report: Mapping[str, Any]) -> str:
    accuracy = report["accuracy"]
    rows = [
        ("Top-1 accuracy", f"**{percent(accuracy['top1'])}**"),
        ("Top-5 accuracy", percent(accuracy["top5"])),
        ("Loss (cross-entropy)", f"{report['loss']:.4f}"),
        ("Images", f"{report['images']} ({report['dataset']}, {report['split']})"),
        ("Firing rate", f"{report['firing_rate']['network']:.4f} spikes per neuron and time step"),
        ("Speed", f"{report['images_per_second']:.1f} images/s, {report['device']}, {report['precision']}"),
        ("Backend", report["backend"]),
        ("Checkpoint", f"`{report['checkpoint']}`"),
    ]
    neuron = f"{report['neuron']} neurons, T = {report['time_steps']}"
    title = f"# {report['model']} with {neuron}, on {report['dataset']}"
    return f"{title}\n\n{_table(('', ''), rows)}"


def _training(metrics: Sequence[Mapping[str, Any]]) -> str:
    if not metrics:
        return ""
    last = metrics[-1]
    text = (
        f"{last['epoch']} epochs, {last['step']} steps, {sum(line['seconds'] for line in metrics):.1f} s; "
        f"last epoch: training loss {last['train_loss']:.4f}, "
        f"training accuracy {percent(last['train_accuracy'])}"
    )
    if last.get("val_top1") is not None:
        text += f", validation top-1 {percent(last['val_top1'])}"
    return f"## Training\n\n{text}.\n\n![Learning curves](curves.png)"


def _layers(report: Mapping[str, Any]) -> str:
    gates = {layer["name"]: layer for layer in report["gates"]["layers"]}
    rows = []
    for layer in report["firing_rate"]["layers"]:
        per_step = ", ".join(f"{rate:.3f}" for rate in layer["per_step"])
        nearest = gates.get(layer["name"], {}).get("nearest", {})
        rows.append(
            (
                f"`{layer['name']}`",
                f"{layer['rate']:.4f}",
                percent(layer["silent_fraction"]),
                per_step,
                *(nearest.get(key, "") for key in ("leak", "conductance", "reset")),
            )
        )
    header = ("Layer", "Firing rate", "Silent", "By time step", "Leak", "Conductance", "Reset")
    return (
        "## Layers\n\nSpikes per neuron and time step; the share of neurons that never fired on any image; "
        f"the named behaviour nearest to the layer's mean gates.\n\n{_table(header, rows)}\n\n"
        "![Firing by layer](rates.png)"
    )


def _operations(report: Mapping[str, Any]) -> str:
    o = report["operations"]
    if o is None:
        return ""
    synapses_uj = o["energy_uj"] - o["neuron_energy_uj"]
    rows = [
        ("Synapses: MACs", engineering(o["macs"]), engineering(o["ann_macs"])),
        ("Synapses: ACs", engineering(o["acs"]), "0"),
        ("Synaptic operations, exact", engineering(o["synaptic_operations"]), ""),
        ("Neurons: operations", engineering(o["neuron_ops"]), "0"),
        ("Energy of synapses", f"{synapses_uj:.4g} µJ", f"{o['ann_energy_uj']:.4g} µJ"),
        ("Energy of neurons", f"{o['neuron_energy_uj']:.4g} µJ", "0 µJ"),
        ("**Energy**", f"**{o['energy_uj']:.4g} µJ**", f"**{o['ann_energy_uj']:.4g} µJ**"),
        ("Energy, relative to the ANN", ratio(o["energy_uj"], o["ann_energy_uj"]), "1"),
    ]
    layers = [
        (
            f"`{layer['name']}`",
            "binary" if layer["binary_input"] else "whole" if layer["whole_input"] else "real",
            f"{layer['input_rate']:.4f}",
            engineering(layer["macs"]),
            engineering(layer["acs"]),
            f"{layer['energy_uj']:.4g}",
        )
        for layer in o["layers"]
    ]
    columns = ("", "This network", "The same as an ANN")
    header = ("Layer", "Input", "Share not 0", "MACs", "ACs", "Energy (µJ)")
    assumptions = "\n".join(f"- {line}" for line in ASSUMPTIONS)
    return (
        f"## Operations and energy\n\nPer image.\n\n{_table(columns, rows)}\n\n"
        f"{_table(header, layers)}\n\nWhat is counted:\n\n{assumptions}"
    )


def _gates(report: Mapping[str, Any]) -> str:
    names = (*VALUES, "decay")
    rows = []
    drifts = []
    for layer in report["gates"]["layers"]:
        numbers = [_mean_std(layer[name]) for name in names]
        steps = layer["conductance"]
        conductance = ", ".join(f"{step['mean']:.3f}" for step in steps) if steps else "-"
        rows.append((f"`{layer['name']}`", str(layer["channels"]), *numbers, conductance))
        drift = (layer["drift"].get(name) for name in (*VALUES, "conductance"))
        drifts.append((f"`{layer['name']}`", *("-" if value is None else f"{value:+.3f}" for value in drift)))
    header = ("Layer", "Channels", *names, "conductance by time step")
    return (
        "## Gates and membrane\n\nMean ± standard deviation over channels, after the sigmoid.\n\n"
        f"{_table(header, rows)}\n\nDrift of the means from their initial values:\n\n"
        f"{_table(('Layer', *VALUES, 'conductance'), drifts)}\n\n![Distributions of gates](gates.png)"
    )


def ratio(part: float, whole: float) -> str:
    """`part` as a multiple of `whole`, or a dash where there is nothing to compare with."""
    return f"{part / whole:.3g}" if whole else "-"


def _mean_std(stats: Mapping[str, Any] | None) -> str:
    return "-" if stats is None else f"{stats['mean']:.3f} ± {stats['std']:.3f}"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = list(header)
    lines = [header, ["---"] * len(header), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _plain(value: Any) -> Any:
    """The same with lists for tuples, as it comes back from JSON."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
