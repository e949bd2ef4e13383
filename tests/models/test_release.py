"""The released ResNet-19 and ResNet-18, rebuilt: parameter counts, logits, firing rates in float64."""

import numpy as np
import pytest
import torch

from glifcli.models.registry import create_model
from glifcli.neurons.config import NeuronConfig
from tests.models.release import CHECKPOINTS, our_name, state_dict

CASES = {
    "ResNet_19_cifar_CW/T2/classes10": ("resnet19", NeuronConfig()),
    "ResNet_19_cifar/T2/classes10": ("resnet19", NeuronConfig(share="layer")),
    "ResNet_19_stand_CW_softsimple/T2/classes100": ("resnet19", NeuronConfig(name="glif-f")),
    "ResNet_18_stand_CW/T4/classes10": ("resnet18", NeuronConfig()),
}


@pytest.mark.parametrize("case", CASES)
def test_parameters_logits_and_firing_rates(case: str) -> None:
    name, neuron = CASES[case]
    expected = CHECKPOINTS[case]
    _, steps, classes = case.split("/")
    model = create_model(
        name,
        classes=int(classes.removeprefix("classes")),
        time_steps=int(steps.removeprefix("T")),
        neuron=neuron,
    )
    assert sum(p.numel() for p in model.parameters()) == expected["n_params"]
    model.load_state_dict(state_dict(case), strict=True)
    model.double().eval()
    rates: dict[str, float] = {}
    for layer, module in model.neurons():
        module.register_forward_hook(lambda _, __, out, layer=layer: rates.update({layer: out.mean().item()}))
    images = np.random.Generator(np.random.PCG64(0)).standard_normal(expected["input"]["shape"])
    with torch.no_grad():
        logits = model(torch.from_numpy(images.astype(np.float32)).double())
    torch.testing.assert_close(logits, torch.tensor(expected["logits"], dtype=torch.float64), rtol=0, atol=1e-6)
    published = {our_name(layer): rate for layer, rate in expected["firing_rates"].items()}
    assert rates.keys() == published.keys()
    assert len(rates) == 17
    for layer, rate in published.items():
        assert rates[layer] == pytest.approx(rate, abs=1e-6), layer
