import struct

import pytest
import torch

from glifcli.models.registry import create_model
from glifcli.models.time_steps import with_time_steps
from glifcli.reports.latency import latencies
from glifcli.reports.plots import exits_plot
from glifcli.reports.sweep_tables import early_exit_table, time_steps_table
from tests.reports.conftest import CPU, hooks
from tests.reports.test_tables import text

HEAD = {
    "model": "smallnet[x]", "neuron": "glif", "dataset": "digits", "split": "test", "images": 360, "device": "cpu",
    "precision": "fp32", "backend": "numba", "trained_time_steps": 4, "conductance": "hold",
}  # fmt: skip


def row(**more):
    figures = {"loss": 0.25, "firing_rate": 0.1482, "energy_uj": 1.5, "ann_energy_uj": 6.0}
    return {"accuracy": {"top1": 0.9806, "top5": 1.0}, **figures, **more}


def exits(steps, thresholds, asked=(0.9,)):
    rows = [row(threshold=t, mean_time_steps=n, exits=[0.25, 0.75]) for t, n in zip(thresholds, steps, strict=True)]
    return {**HEAD, "time_steps": 2, "early_exit": {"asked": list(asked), "thresholds": rows}}


def test_the_table_of_time_steps():
    rows = [row(time_steps=steps, latency_ms=steps / 3) for steps in (1, 4)]
    table = time_steps_table({**HEAD, "time_steps": rows})
    shown = text(table, 120)
    for cell in ("smallnet[x]", "98.06 %", "0.1482", "1.5 uJ", "0.25", "1.333 ms", "trained with 4, conductance hold"):
        assert cell in shown
    assert [line.style for line in table.rows] == [None, "bold"]


def test_the_table_of_early_exits():
    table = early_exit_table(exits([1.2, 1.5, 2.0], [0.5, 0.9, 1.0]))
    shown = text(table, 120)
    for cell in ("smallnet[x]", "T = 2", "never", "1.500", "25 75 %"):
        assert cell in shown
    assert [line.style for line in table.rows] == [None, "bold", None]


@pytest.mark.parametrize(
    ("steps", "thresholds", "asked"),
    [
        ([1.2, 1.5, 1.51, 2.0], [0.5, 0.9, 0.95, 1.0], (0.9,)),
        ([1.0, 1.0], [0.9, 1.0], (0.9,)),
        ([2.0], [1.0], (1.0,)),
    ],
)
def test_the_plot(steps, thresholds, asked):
    png = exits_plot(exits(steps, thresholds, asked))
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    assert 1200 <= width <= 1600
    assert 300 <= height <= 1600


def test_latencies():
    torch.manual_seed(0)
    model = create_model("smallnet", width=0.25, time_steps=2, in_channels=1).train()
    networks = {steps: with_time_steps(model, steps) for steps in (1, 2, 5)}
    taken = latencies(networks, torch.randn(1, 1, 8, 8), device=CPU, dtype=torch.float32)
    assert list(taken) == [1, 2, 5]
    assert all(0 < ms < 1000 for ms in taken.values())
    assert all(network.training and hooks(network) == 0 for network in networks.values())
    frames = torch.randn(1, 5, 1, 8, 8)
    assert len(latencies(networks, frames, device=CPU, dtype=torch.float32)) == 3
