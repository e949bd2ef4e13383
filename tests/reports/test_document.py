import json

import pytest
import torch

from glifcli.models.registry import create_model
from glifcli.reports.document import comparison_json, engineering, evaluation_json, gates_json, markdown
from glifcli.reports.evaluation import evaluate
from glifcli.reports.gates import compare, gate_report
from tests.reports.conftest import CPU
from tests.reports.test_plots import metrics

# The contract of cli.md.
EVALUATION = {
    "schema_version", "checkpoint", "model", "neuron", "time_steps", "dataset", "split", "images", "accuracy",
    "loss", "firing_rate", "operations", "gates", "seconds", "images_per_second", "device", "precision",
    "backend",
}  # fmt: skip
OPERATIONS = {"macs", "acs", "neuron_ops", "synaptic_operations", "energy_uj", "ann_energy_uj"}
LAYER = {
    "name", "channels", "alpha", "beta", "gamma", "tau", "threshold", "leak", "reset", "conductance", "decay",
    "nearest",
}  # fmt: skip
NAMES = {
    "checkpoint": "runs/a|b/last.safetensors", "model": "smallnet", "neuron": "glif", "time_steps": 2,
    "dataset": "digits", "split": "test", "device": "cpu", "precision": "fp32", "backend": "reference",
}  # fmt: skip


def report(model, batches, **settings):
    evaluation = evaluate(model, batches, device=CPU, dtype=torch.float32, **settings)
    return evaluation_json(evaluation, gate_report(model), **NAMES)


@pytest.fixture
def full(smallnet, batches):
    return report(smallnet, batches)


def test_evaluation_has_the_keys_of_the_contract(full):
    assert set(full) == EVALUATION
    assert full["schema_version"] == 1
    assert set(full["accuracy"]) == {"top1", "top5"}
    assert set(full["firing_rate"]) == {"network", "layers"}
    for layer in full["firing_rate"]["layers"]:
        assert set(layer) == {"name", "rate", "silent_fraction", "per_step"}
        assert len(layer["per_step"]) == 2
    assert set(full["operations"]) >= OPERATIONS
    assert set(full["gates"]) == {"layers"}


def test_gates_have_the_keys_of_the_contract(smallnet):
    gates = gates_json("x.safetensors", gate_report(smallnet))
    assert set(gates) == {"schema_version", "checkpoint", "layers"}
    for layer in gates["layers"]:
        assert set(layer) == LAYER | {"drift"}
        statistics = [layer[name] for name in LAYER - {"name", "channels", "conductance", "nearest"}]
        for s in statistics + layer["conductance"]:
            assert set(s) == {"mean", "std", "min", "max", "histogram"}
            assert set(s["histogram"]) == {"edges", "counts"}
        assert set(layer["nearest"]) == {"leak", "conductance", "reset"}


@pytest.mark.parametrize("neuron", ["glif", "lif"])
def test_json_comes_back_the_same(neuron, batches):
    model = create_model("smallnet", time_steps=2, in_channels=1, neuron=neuron)
    for value in (
        report(model, batches),
        report(model, batches, operations=False),
        gates_json("x", gate_report(model)),
        comparison_json(compare(gate_report(model), gate_report(model))),
    ):
        assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_markdown(full):
    text = markdown(full, metrics(3, 3), 'name = "digits"\n')
    top1 = f"{100 * full['accuracy']['top1']:.2f} %"
    for part in (
        top1,
        "curves.png",
        "rates.png",
        "gates.png",
        'name = "digits"',
        "Horowitz",
        "`stem.conv`",
        "3 epochs",
    ):
        assert part in text
    for layer in full["firing_rate"]["layers"]:
        assert f"| `{layer['name']}` | {layer['rate']:.4f} |" in text
    # A bar in a name does not make a cell of its own.
    assert "a\\|b" in text


def test_every_table_of_the_markdown_is_rectangular(full):
    for block in markdown(full, [], "").split("\n\n"):
        if block.startswith("|"):
            assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1


@pytest.mark.parametrize("neuron", ["lif", "glif-f"])
def test_markdown_without_metrics_recipe_operations_or_gates(neuron, batches):
    model = create_model("smallnet", time_steps=2, in_channels=1, neuron=neuron)
    text = markdown(report(model, batches, operations=False), [], "")
    assert "Recipe" not in text
    assert "curves.png" not in text
    assert "None" not in text


def test_engineering():
    assert [engineering(n) for n in (0, 999, 1000, 12345678, 2.5e9)] == [
        "0",
        "999",
        "1 k",
        "12.35 M",
        "2.5 G",
    ]
