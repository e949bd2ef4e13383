"""Losses, parameter groups, learning rates and the average, by hand-worked numbers."""

import math

import pytest
import torch
from torch.nn import functional as F

from glifcli.models.registry import create_model
from glifcli.models.tdbn import TdBN
from glifcli.neurons.config import NeuronConfig
from glifcli.recipe import Loss, Optim
from glifcli.training.average import make_average
from glifcli.training.losses import loss_of
from glifcli.training.optimiser import lr_scale, make_optimiser, set_rates


def test_plain_loss_is_of_the_mean_logits() -> None:
    logits = torch.tensor([[[2.0, 0.0]], [[0.0, 0.0]]])  # mean: (1, 0)
    assert loss_of(logits, torch.tensor([0]), Loss()).item() == pytest.approx(math.log(1 + math.exp(-1)))


def test_tet_is_the_mean_of_every_steps_loss_and_a_pull_to_one() -> None:
    logits = torch.tensor([[[2.0, 0.0]], [[0.0, 0.0]]])
    steps = (math.log(1 + math.exp(-2)) + math.log(2)) / 2
    distance = (1 + 1 + 1 + 1) / 4
    got = loss_of(logits, torch.tensor([0]), Loss(tet=True, tet_lambda=0.25))
    assert got.item() == pytest.approx(0.75 * steps + 0.25 * distance)


def test_soft_targets_and_smoothing() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(3, 4, 5), torch.tensor([0, 1, 2, 3])
    for settings in (Loss(label_smoothing=0.2), Loss(label_smoothing=0.2, tet=True)):
        hard = loss_of(logits, labels, settings)
        soft = loss_of(logits, F.one_hot(labels, 5).float(), settings)
        torch.testing.assert_close(hard, soft)


def test_groups_neurons_do_not_decay_and_gates_learn_slowly() -> None:
    model = create_model("resnet19", width=0.125)
    optimiser = make_optimiser(model, Optim(lr=0.2, weight_decay=0.5, gate_lr_scale=0.1))
    groups = {group["name"]: group for group in optimiser.param_groups}
    assert {name: (group["lr"], group["weight_decay"]) for name, group in groups.items()} == {
        "weights": (0.2, 0.5),
        "norms": (0.2, 0.5),
        "neurons": (0.2, 0.0),
        "gates": (pytest.approx(0.02), 0.0),
    }
    assert sum(len(group["params"]) for group in groups.values()) == len(list(model.parameters()))
    assert len(groups["gates"]["params"]) == 3 * 17
    assert len(groups["neurons"]["params"]) == 5 * 17
    assert len(groups["norms"]["params"]) == 2 * sum(isinstance(m, TdBN) for m in model.modules())


def test_norms_may_be_left_from_decay_and_frozen_gates_are_left_out() -> None:
    model = create_model("smallnet", neuron=NeuronConfig(frozen_gates=True))
    optimiser = make_optimiser(model, Optim(weight_decay=0.5, decay_norms=False, name="adamw"))
    decay = {group["name"]: group["weight_decay"] for group in optimiser.param_groups}
    assert decay == {"weights": 0.5, "norms": 0.0, "neurons": 0.0}


def test_cosine_with_warm_up() -> None:
    settings = Optim(schedule="cosine", final_lr_scale=0.1)
    scales = [lr_scale(step, 110, 10, settings) for step in range(110)]
    assert scales[0] == pytest.approx(1 / 11)
    assert scales[9] == pytest.approx(10 / 11)
    assert scales[10] == pytest.approx(1)
    assert scales[60] == pytest.approx(0.55)
    assert scales[109] == pytest.approx(0.1, abs=1e-3)
    assert scales[10:] == sorted(scales[10:], reverse=True)


def test_one_cycle_and_constant() -> None:
    cycle = [lr_scale(step, 100, 0, Optim(schedule="onecycle")) for step in range(100)]
    assert cycle[0] == pytest.approx(0.04)
    assert cycle[30] == pytest.approx(1)
    assert cycle[65] == pytest.approx(0.5)
    assert cycle[99] < 0.001
    assert cycle[:31] == sorted(cycle[:31])
    assert {lr_scale(step, 50, 0, Optim(schedule="constant")) for step in range(50)} == {1.0}


def test_rates_are_set_from_their_base() -> None:
    optimiser = make_optimiser(create_model("smallnet"), Optim(lr=0.4))
    for scale in (0.5, 0.25):
        set_rates(optimiser, scale)
        assert {g["name"]: g["lr"] for g in optimiser.param_groups}["weights"] == pytest.approx(0.4 * scale)


def test_the_average_follows_the_model() -> None:
    model = create_model("smallnet", width=0.25)
    average = make_average(model, 0.5)
    name = "stem.conv.weight"
    start = dict(model.named_parameters())[name].detach().clone()
    for expected in (1.0, 1 + (1 - 2 / 11), None):
        with torch.no_grad():
            dict(model.named_parameters())[name].add_(1)
            assert model.stem.norm.running_mean is not None
            model.stem.norm.running_mean.add_(1)
        average.update_parameters(model)
        if expected is not None:
            got = dict(average.module.named_parameters())[name] - start
            torch.testing.assert_close(got, torch.full_like(got, expected))
    mean = average.module.stem.norm.running_mean
    assert 2 < mean[0].item() < 3
