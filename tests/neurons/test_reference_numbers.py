"""Every neuron case that the published code produced in float64 (tests/reference/README.md)."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from glifcli.neurons.base import Neuron
from glifcli.neurons.glif import GLIF, GLIFf
from glifcli.ops import reference
from glifcli.ops.surrogate import rectangle

FILE = Path(__file__).parents[1] / "reference" / "neuron.safetensors"
OURS = {"Vth": "threshold", "reVth": "reset", "conduct": "conductance"}

with safe_open(FILE, "pt") as opened:
    CASES = json.loads(opened.metadata()["cases"])
    TENSORS = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
NEURON_CASES = [name for name in CASES if not name.startswith("tdbn")]


def neuron_of(name: str) -> Neuron:
    channels, time_steps = TENSORS[f"{name}.input"].shape[2], CASES[name]["T"]
    share = "layer" if "layerwise" in name else "channel"
    if name.startswith("coarse"):
        neuron: Neuron = GLIFf(channels, time_steps, share=share)
    else:
        neuron = GLIF(
            channels,
            time_steps,
            share=share,
            time_wise="timewise" in name,
            mode="hard" if "hard" in name else "soft",
            frozen_gates="frozen" in name,
        )
    state = {OURS.get(p, p): TENSORS[f"{name}.param.{p}"] for p in CASES[name]["params"]}
    neuron.double().load_state_dict(state, strict=True)
    return neuron


def test_there_are_cases() -> None:
    assert len(NEURON_CASES) == 10


@pytest.mark.parametrize("name", NEURON_CASES)
def test_spikes_and_gradients(name: str) -> None:
    neuron = neuron_of(name)
    x = TENSORS[f"{name}.input"].clone().requires_grad_()
    spikes = neuron(x)
    assert torch.equal(spikes, TENSORS[f"{name}.spikes"])
    (spikes * TENSORS[f"{name}.loss_weight"]).sum().backward()
    torch.testing.assert_close(x.grad, TENSORS[f"{name}.grad_input"], rtol=0, atol=1e-10)
    expected = {OURS.get(p, p): TENSORS[f"{name}.grad.{p}"] for p in CASES[name]["grads"]}
    got = {p: v.grad for p, v in neuron.named_parameters() if v.grad is not None}
    assert got.keys() == expected.keys()
    for parameter, gradient in expected.items():
        torch.testing.assert_close(got[parameter], gradient, rtol=0, atol=1e-10, msg=f"{name}: {parameter}")


@pytest.mark.parametrize("name", NEURON_CASES)
def test_membranes(name: str) -> None:
    neuron, x = neuron_of(name), TENSORS[f"{name}.input"]
    membrane = spike = torch.zeros_like(x[0])
    for t, x_t in enumerate(x):
        k = neuron.constants().at(t).broadcast(2, torch.float64)
        membrane, spike = reference.step(x_t, membrane, spike, k, rectangle)
        torch.testing.assert_close(membrane, TENSORS[f"{name}.membrane"][t], rtol=0, atol=1e-10)
