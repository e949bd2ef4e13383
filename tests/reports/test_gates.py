import csv
import io

import numpy as np
import pytest
import torch

from glifcli.errors import GlifError
from glifcli.models.registry import create_model
from glifcli.neurons.config import NeuronConfig
from glifcli.reports.gates import BINS, compare, csv_text, gate_report, statistics


def test_values_drift_and_behaviour_by_hand(smallnet):
    neuron = smallnet.stem.neuron
    with torch.no_grad():
        neuron.alpha.fill_(torch.logit(torch.tensor(0.8)))
        neuron.beta.fill_(torch.logit(torch.tensor(0.3)))
        neuron.tau.fill_(torch.logit(torch.tensor(0.5)))
        neuron.conductance[1].fill_(torch.logit(torch.tensor(0.9)))
    layer = gate_report(smallnet)[0]
    assert (layer.name, layer.channels) == ("stem.neuron", 32)
    assert layer.nearest["leak"] == "exponential"
    assert layer.nearest["conductance"] == "uniform"
    assert layer.drift()["alpha"] == pytest.approx(0.3)
    assert layer.drift()["beta"] == pytest.approx(-0.2)
    assert layer.drift()["tau"] == pytest.approx(0.25)
    # Conductance: 0.5 and 0.9, from 0.5.
    assert layer.drift()["conductance"] == pytest.approx(0.2)
    # decay = 1 - alpha (1 - tau) = 1 - 0.8 x 0.5
    assert layer.json()["decay"]["mean"] == pytest.approx(0.6)
    steps = layer.json()["conductance"]
    assert [step["mean"] for step in steps] == pytest.approx([0.5, 0.9])


def test_statistics_by_hand():
    s = statistics(np.array([0.0, 0.02, 0.5, 1.0]))
    assert s["mean"] == pytest.approx(0.38)
    assert s["std"] == pytest.approx(np.sqrt((0.38**2 + 0.36**2 + 0.12**2 + 0.62**2) / 4))
    assert (s["min"], s["max"]) == (0, 1)
    edges, counts = s["histogram"]["edges"], s["histogram"]["counts"]
    assert (len(edges), len(counts)) == (BINS + 1, BINS)
    assert (edges[0], edges[1], edges[-1]) == (0, 0.05, 1)
    assert (counts[0], counts[10], counts[-1]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("neuron", "missing"),
    [
        ("lif", {"alpha", "beta", "gamma", "leak", "reset", "conductance"}),
        ("plif", {"alpha", "beta", "gamma", "leak", "reset", "conductance"}),
        ("glif-f", {"alpha", "beta", "gamma"}),
        (NeuronConfig(time_wise=True, mode="hard"), set()),
        (NeuronConfig(share="layer"), set()),
    ],
)
def test_what_a_neuron_does_not_have_is_null(neuron, missing):
    model = create_model("smallnet", time_steps=3, neuron=neuron)
    for layer in gate_report(model):
        values = layer.json()
        assert {key for key, value in values.items() if value is None} == missing
        assert sum(values["tau"]["histogram"]["counts"]) == layer.values["tau"].size


def test_compare(smallnet):
    before = gate_report(smallnet)
    with torch.no_grad():
        smallnet.stem.neuron.gamma.fill_(4.0)
        smallnet.stem.neuron.tau.fill_(0.0)
    stem, *others = compare(before, gate_report(smallnet))
    assert stem.means["tau"] == pytest.approx(0.25)
    assert all(value == 0 for layer in others for value in layer.means.values())
    flipped = before[0].nearest["reset"]
    assert stem.nearest == ({"reset": ("soft", "hard")} if flipped == "soft" else {})


def test_compare_different_neurons_has_what_both_have(smallnet):
    lif = gate_report(create_model("smallnet", time_steps=4, neuron="lif"))
    assert set(compare(gate_report(smallnet), lif)[0].means) == {"tau", "threshold", "decay"}


def test_compare_names_both_layers_that_do_not_match(smallnet):
    report = gate_report(smallnet)
    wide = gate_report(create_model("smallnet", width=2.0))
    with pytest.raises(GlifError, match=r"`stem\.neuron` with 32 .*`stem\.neuron` .*64"):
        compare(report, wide)
    with pytest.raises(GlifError, match="3 layers of neurons, the second 17"):
        compare(report, gate_report(create_model("resnet19", width=0.125)))


def test_csv(smallnet):
    rows = list(csv.DictReader(io.StringIO(csv_text(gate_report(smallnet)))))
    # Seven values, conductance for each of 2 steps, decay.
    assert len(rows) == 3 * (7 + 2 + 1)
    tau = next(row for row in rows if row["value"] == "tau")
    assert (tau["layer"], tau["channels"], tau["mean"], tau["initial"]) == (
        "stem.neuron",
        "32",
        "0.25",
        "0.25",
    )
    assert [row["step"] for row in rows[:10] if row["value"] == "conductance"] == ["1", "2"]


def test_a_value_that_is_not_finite(smallnet):
    with torch.no_grad():
        smallnet.layers[1].neuron.tau[3] = float("nan")
    with pytest.raises(GlifError, match=r"`tau` of layer `layers\.1\.neuron`"):
        gate_report(smallnet)
