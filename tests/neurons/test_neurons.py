"""The neurons as modules: initial values, shapes, settings, what they refuse."""

import math

import numpy as np
import pytest
import torch

from glifcli.errors import ModelError
from glifcli.neurons.base import Neuron
from glifcli.neurons.config import SETTINGS, NeuronConfig, unread_settings
from glifcli.neurons.glif import GATES, GLIF, GLIFf
from glifcli.neurons.lif import LIF, PLIF
from glifcli.neurons.registry import NEURONS, build

ALL = [NeuronConfig(name=name) for name in NEURONS] + [
    NeuronConfig(share="layer"),
    NeuronConfig(time_wise=True),
    NeuronConfig(share="layer", time_wise=True),
    NeuronConfig(mode="hard"),
    NeuronConfig(frozen_gates=True),
    NeuronConfig(name="glif-f", share="layer"),
    NeuronConfig(name="lif", reset="soft"),
    NeuronConfig(name="plif", reset="soft"),
]


def test_every_neuron_has_its_settings_listed() -> None:
    assert NEURONS.keys() == SETTINGS.keys()
    assert len(NEURONS) == 4


@pytest.mark.parametrize("config", ALL, ids=str)
@pytest.mark.parametrize("space", [(), (3, 5)])
def test_every_neuron_fires_and_learns(config: NeuronConfig, space: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    neuron = build(config, channels=6, time_steps=4)
    x = torch.randn(4, 2, 6, *space, requires_grad=True)
    spikes = neuron(x)
    assert spikes.shape == x.shape
    assert 0 < spikes.mean() < 1
    spikes.sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    for name, parameter in neuron.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


@pytest.mark.parametrize("config", ALL, ids=str)
def test_values_begin_where_initial_values_say(config: NeuronConfig) -> None:
    neuron = build(config, channels=400, time_steps=4)
    values, initial = neuron.values(), neuron.initial_values()
    assert values.keys() == initial.keys()
    for name, value in values.items():
        assert value.shape[-1] == 400, name
        spread = 0.5 if config.mode == "hard" and name in GATES else 0.03
        assert (value - initial[name]).abs().max() <= spread, name
    neuron.constants().check(4, 400)


@pytest.mark.parametrize("time_steps", [1, 2, 4, 6])
def test_initial_values_are_the_papers(time_steps: int) -> None:
    torch.manual_seed(0)
    neuron = GLIF(1000, time_steps)
    for gate in GATES:
        logits = neuron.get_parameter(gate).detach()
        assert -0.1 <= logits.min() < -0.09
        assert 0.09 < logits.max() <= 0.1
    expected = {"tau": 0.25, "threshold": 0.5, "leak": 0.5 / (2 * time_steps), "reset": 0.5, "conductance": 0.5}
    for name, value in expected.items():
        torch.testing.assert_close(
            neuron.get_parameter(name).sigmoid(), torch.full_like(neuron.get_parameter(name), value)
        )
    assert neuron.conductance.shape == (time_steps, 1000)


def test_randomness_is_torchs_own() -> None:
    np.random.seed(0)
    torch.manual_seed(7)
    first = GLIF(5, 2).alpha.detach().clone()
    np.random.seed(1)
    torch.manual_seed(7)
    assert torch.equal(GLIF(5, 2).alpha, first)
    assert not torch.equal(GLIF(5, 2).alpha, first)


def test_shapes_of_the_parameters() -> None:
    def shapes(neuron: Neuron) -> dict[str, tuple[int, ...]]:
        return {name: tuple(parameter.shape) for name, parameter in neuron.named_parameters()}

    channel = shapes(GLIF(3, 2))
    assert channel.pop("conductance") == (2, 3)
    assert set(channel.values()) == {(3,)}
    layer = shapes(GLIF(3, 2, share="layer", time_wise=True))
    assert {layer[gate] for gate in GATES} == {()}
    assert {layer[name] for name in layer.keys() - set(GATES)} == {(2,)}
    assert shapes(GLIF(3, 2, time_wise=True))["tau"] == (2, 3)
    assert shapes(LIF(3, 2)) == {}
    assert shapes(PLIF(3, 2)) == {"tau": ()}


def test_hard_gates_are_zero_or_one_and_gradients_reach_their_logits() -> None:
    torch.manual_seed(0)
    neuron = GLIF(8, 3, mode="hard")
    assert set(torch.cat([neuron.values()[gate] for gate in GATES]).tolist()) == {0.0, 1.0}
    neuron(torch.randn(3, 2, 8)).sum().backward()
    assert neuron.alpha.grad is not None
    assert neuron.alpha.grad.abs().sum() > 0


def test_frozen_gates_have_no_gradient() -> None:
    neuron = GLIF(3, 2, frozen_gates=True)
    assert not any(neuron.get_parameter(gate).requires_grad for gate in GATES)
    assert neuron.tau.requires_grad


def test_lif_is_glif_with_its_gates_at_the_ends() -> None:
    glif = GLIF(3, 4)
    with torch.no_grad():
        for gate, logit in (("alpha", 40.0), ("beta", -40.0), ("gamma", 40.0)):
            glif.get_parameter(gate).fill_(logit)
    x = torch.randn(4, 5, 3, 4, dtype=torch.float64)
    assert torch.equal(glif.double()(x), LIF(3, 4).double()(x))
    assert glif.behaviour() == LIF(3, 4).behaviour()
    assert LIF(3, 4, reset="soft").behaviour()["reset"] == "soft"


def test_a_call_begins_from_rest_and_keeps_no_state() -> None:
    neuron = GLIF(3, 4)
    x = torch.randn(4, 2, 3)
    assert torch.equal(neuron(x), neuron(x))
    assert neuron.state_dict().keys() == dict(neuron.named_parameters()).keys()


def test_pieces_of_a_sequence() -> None:
    torch.manual_seed(0)
    neuron = GLIF(3, 5)
    x = torch.randn(5, 2, 3, 4)
    first, state = neuron.sequence(x[:2])
    second, _ = neuron.sequence(x[2:], state, first_step=2)
    assert torch.equal(torch.cat([first, second]), neuron(x))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((5, 2, 3), ["5 time steps", "4"]),
        ((2, 2, 3, 6), ["2 time steps", "4"]),
        ((4, 2, 7), ["[4, 2, 7]", "3 channels"]),
        ((4, 3), ["[4, 3]", "3 channels", "three or more"]),
    ],
)
def test_a_wrong_shape_names_both_numbers(shape: tuple[int, ...], words: list[str]) -> None:
    with pytest.raises(ModelError) as raised:
        GLIF(3, 4)(torch.zeros(shape))
    assert all(word in raised.value.message for word in words), raised.value.message


def test_a_piece_past_the_end_is_refused() -> None:
    with pytest.raises(ModelError, match="3 to 6, the neuron has 4"):
        GLIF(3, 4).sequence(torch.zeros(3, 1, 3), first_step=3)


@pytest.mark.parametrize(("channels", "time_steps"), [(0, 4), (3, 0), (-1, 2)])
def test_sizes_below_one_are_refused(channels: int, time_steps: int) -> None:
    with pytest.raises(ModelError, match=f"{channels} channels and {time_steps} time steps"):
        GLIF(channels, time_steps)


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(ModelError, match="`share` is `neuron`"):
        GLIFf(3, 2, share="neuron")
    with pytest.raises(ModelError, match="`mode` is `rounded`"):
        GLIF(3, 2, mode="rounded")
    with pytest.raises(ModelError) as raised:
        build(NeuronConfig(name="gliff"), 3, 2)
    assert "did you mean" in raised.value.hint


def test_unread_settings_are_found() -> None:
    assert unread_settings(NeuronConfig(name="lif", mode="hard", share="layer")) == ["mode", "share"]
    assert unread_settings(NeuronConfig(mode="hard", share="layer")) == []


def test_membrane_values_stay_sigmoids_in_every_dtype() -> None:
    neuron = GLIF(3, 2).to(torch.bfloat16)
    assert neuron(torch.randn(2, 1, 3, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert math.isclose(LIF(3, 2).values()["tau"][0].item(), 0.25)
