import io

import pytest
import torch
from rich.console import Console

from glifcli.models.registry import create_model
from glifcli.reports.document import comparison_json, gates_json
from glifcli.reports.gates import compare, gate_report
from glifcli.reports.tables import (
    comparison_table,
    energy_table,
    gates_table,
    layers_table,
    membrane_table,
    summary_table,
)
from tests.reports.test_document import report


def text(table, width=100):
    stream = io.StringIO()
    Console(file=stream, width=width).print(table)
    return stream.getvalue()


def test_tables_of_an_evaluation(smallnet, batches):
    full = report(smallnet, batches)
    assert f"{100 * full['accuracy']['top1']:.2f} %" in text(summary_table(full))
    layers = text(layers_table(full))
    assert "layers.0.neuron" in layers
    assert f"{full['firing_rate']['network']:.4f}" in layers
    assert f"{full['operations']['ann_energy_uj']:.4g} uJ" in text(energy_table(full))
    full["operations"] = None
    assert "MACs" not in text(energy_table(full))


@pytest.mark.parametrize("neuron", ["glif", "lif"])
def test_tables_of_gates(neuron):
    torch.manual_seed(0)
    gates = gate_report(create_model("resnet19", width=0.125, neuron=neuron))
    layers = gates_json("x", gates)["layers"]
    shown = text(gates_table(layers), 80)
    assert layers[1]["nearest"]["leak"] in shown
    for table in (gates_table(layers), membrane_table(layers)):
        # In a terminal of 80 columns the names of layers stay whole.
        assert "layers.0.neuron1" in text(table, 80)
    assert "the same" in text(comparison_table(comparison_json(compare(gates, gates))))


def test_brackets_in_names_are_no_markup(smallnet, batches):
    full = report(smallnet, batches)
    full["checkpoint"] = "runs/[bold]x[/bold]"
    full["firing_rate"]["layers"][0]["name"] = "layers[0]"
    full["gates"]["layers"][0]["name"] = "layers[red]"
    assert "runs/[bold]x[/bold]" in text(summary_table(full))
    assert "layers[0]" in text(layers_table(full))
    assert "layers[red]" in text(gates_table(full["gates"]["layers"]))
    assert "layers[red]" in text(membrane_table(full["gates"]["layers"]))


def test_cells_are_ascii(smallnet, batches):
    full = report(smallnet, batches)
    for table in (summary_table(full), energy_table(full), gates_table(full["gates"]["layers"])):
        for column in table.columns:
            assert all(str(cell).isascii() for cell in column.cells)
