import math
import struct
import sys

import numpy as np
import pytest
import torch

from glifcli.errors import GlifError
from glifcli.models.registry import create_model
from glifcli.neurons.config import NeuronConfig
from glifcli.reports.firing import FiringRates, LayerRate
from glifcli.reports.gates import gate_report
from glifcli.reports.plots import curves_plot, gates_plot, rates_plot
from glifcli.reports.plots.gates import density


def metrics(epochs, layers, *, gates=True, validated=True):
    """Lines of metrics.jsonl as training writes them."""
    names = [f"layers.{index}.neuron" for index in range(layers)]
    gate = {"alpha": 0.6, "beta": 0.4, "gamma": 0.5} if gates else {}
    return [
        {
            "epoch": epoch,
            "step": 10 * epoch,
            "train_loss": 2 / epoch,
            "train_accuracy": 1 - 0.9 / epoch,
            "val_loss": 2.2 / epoch if validated else None,
            "val_top1": 1 - 0.95 / epoch if validated else None,
            "val_top5": 1 - 0.5 / epoch if validated else None,
            "lr": {"weights": 0.1 / epoch, "neurons": 0.1 / epoch, "gates": 0.01 * (epoch < epochs)},
            "images_per_second": 1000.0,
            "seconds": 1.0,
            "firing_rate": {"network": 0.2, "layers": dict.fromkeys(names, 0.2)},
            "gates": dict.fromkeys(names, gate),
        }
        for epoch in range(1, epochs + 1)
    ]


def rates(layers, steps, rate=0.2):
    layer = [LayerRate(f"layers.{i}.neuron", rate, 0.1, (rate,) * steps) for i in range(layers)]
    return FiringRates(rate, tuple(layer))


def check(png):
    """A PNG of a size that can be read on a page, with something drawn on it."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", png[16:24])
    assert 1200 <= width <= 1600
    assert 300 <= height <= 1600
    assert len(png) > 8000


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("lines", [metrics(1, 3, validated=False), metrics(200, 17), metrics(3, 1, gates=False)])
def test_curves(lines):
    check(curves_plot(lines))


@pytest.mark.filterwarnings("error")
def test_curves_of_a_diverged_run_with_few_validations():
    lines = metrics(40, 3)
    lines[20]["train_loss"] = math.nan
    for line in lines[::2]:
        line["val_loss"] = line["val_top1"] = line["val_top5"] = None
    check(curves_plot(lines))


def test_curves_of_no_epoch():
    with pytest.raises(GlifError, match="no epoch"):
        curves_plot([])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "time_steps", "neuron"),
    [
        ("smallnet", 1, "glif"),
        ("resnet19", 16, "glif"),
        ("smallnet", 2, "lif"),
        ("smallnet", 2, "plif"),
        ("smallnet", 4, "glif-f"),
        ("smallnet", 4, NeuronConfig(share="layer")),
        ("smallnet", 4, NeuronConfig(mode="hard", time_wise=True)),
    ],
)
def test_gates(name, time_steps, neuron):
    torch.manual_seed(0)
    check(gates_plot(gate_report(create_model(name, width=0.125, time_steps=time_steps, neuron=neuron))))


@pytest.mark.filterwarnings("error")
def test_gates_of_one_layer_and_of_none(smallnet):
    check(gates_plot(gate_report(smallnet)[:1]))
    with pytest.raises(GlifError, match="no layer"):
        gates_plot([])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("firing", [rates(1, 1), rates(17, 16), rates(3, 2, rate=0.0)])
def test_rates(firing):
    check(rates_plot(firing))


def test_pyplot_is_left_alone(smallnet):
    from matplotlib import rcParams

    imported = "matplotlib.pyplot" in sys.modules
    # Reading `backend` would import pyplot by itself.
    settings = {key: rcParams[key] for key in rcParams if key != "backend"}
    curves_plot(metrics(2, 3))
    gates_plot(gate_report(smallnet))
    rates_plot(rates(3, 2))
    assert ("matplotlib.pyplot" in sys.modules) == imported
    assert settings == {key: rcParams[key] for key in settings}


def test_density_is_a_bell_over_its_values():
    grid = np.linspace(0, 1, 401)
    values = np.random.default_rng(0).normal(0.6, 0.05, 500)
    heights = density(values, grid)
    assert heights.max() == 1
    assert grid[heights.argmax()] == pytest.approx(0.6, abs=0.03)
    assert heights[grid < 0.35].max() < 0.01
