"""`glif inspect-gates`."""

from pathlib import Path
from typing import Annotated

import typer

from glifcli.cli import options
from glifcli.cli.output import answer, answer_json, check_output, note, write_output
from glifcli.errors import GlifError

EXAMPLES = (
    "[bold]glif inspect-gates runs/first[/]\n\n"
    "[bold]glif inspect-gates runs/first --plot gates.png --csv gates.csv[/]\n\n"
    "[bold]glif inspect-gates runs/first --compare runs/second --json[/]"
)


def inspect_gates(
    reference: Annotated[
        str | None, typer.Argument(help="A model file or a run folder.", metavar="REF", show_default=False)
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", help="The same as REF.", metavar="REF", show_default=False)
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option("--compare", help="Another model: how far its means are.", metavar="REF", show_default=False),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw the gates to a PNG file.", metavar="FILE", show_default=False),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="Write a line a layer and constant.", metavar="FILE", show_default=False),
    ] = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what the gates and membranes of each layer learned. Reads the weights only: no data, no forward pass."""
    from glifcli.checkpoint import find, load
    from glifcli.reports.document import comparison_json, gates_json
    from glifcli.reports.gates import compare as compare_layers
    from glifcli.reports.gates import csv_text, gate_report
    from glifcli.reports.plots import gates_plot
    from glifcli.reports.tables import comparison_table, drift_table, gates_table, membrane_table

    if (reference is None) == (checkpoint is None):
        raise GlifError(
            "give one model, as REF or with `--checkpoint`",
            "`glif inspect-gates runs/…`, a run folder or model file",
        )
    if plot is not None and plot == csv:
        raise GlifError(f"`--plot` and `--csv` are both `{plot}`", "give each its own file")
    for path in (plot, csv):
        if path is not None:
            check_output(path, force=force)
    path = find(reference or checkpoint or "")
    layers = gate_report(load(path)[0])
    report = gates_json(str(path), layers)
    tables = [gates_table(report["layers"]), membrane_table(report["layers"]), drift_table(report["layers"])]
    if compare is not None:
        other = find(compare)
        differences = comparison_json(compare_layers(layers, gate_report(load(other)[0])))
        report |= {"compare": {"checkpoint": str(other), "layers": differences}}
        tables.append(comparison_table(differences))
    if plot is not None:
        write_output(plot, gates_plot(layers), force=force)
        note(f"drawn: {plot}", quiet=quiet)
    if csv is not None:
        write_output(csv, csv_text(layers).encode(), force=force)
        note(f"written: {csv}", quiet=quiet)
    if json:
        answer_json(report)
    else:
        answer(*tables)
