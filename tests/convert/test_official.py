"""The authors' checkpoints: every published network in full, other sizes in small, what does not fit."""

from pathlib import Path

import pytest
import torch

from glifcli.checkpoint import load
from glifcli.cli.app import run
from glifcli.convert.metadata import describe
from glifcli.convert.official import RULES, official
from glifcli.convert.source import read_source
from glifcli.errors import CheckpointError
from glifcli.models.names import NAMES
from glifcli.models.registry import create_model
from glifcli.neurons.config import NeuronConfig
from tests.convert.release import CASES, CHECKPOINTS, as_official, input_of, rebuilt


def test_every_published_network_is_here() -> None:
    assert CASES.keys() == CHECKPOINTS.keys()
    assert RULES.keys() == set(NAMES) - {"smallnet"}
    assert official("smallnet") is None


@pytest.mark.parametrize("case", CASES)
def test_a_published_network_by_the_command(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "release.pth.tar", tmp_path / "ours.safetensors"
    state = rebuilt(case)
    torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}, source)
    assert run(["convert", str(source), str(target), "--quiet"]) == 0, capsys.readouterr().err
    model, metadata = load(target)
    name, neuron, share, time_steps, classes = CASES[case]
    assert (metadata.architecture, metadata.neuron.name, metadata.neuron.share) == (name, neuron, share)
    assert (metadata.time_steps, metadata.classes, metadata.width) == (time_steps, classes, 1.0)
    expected = CHECKPOINTS[case]
    assert sum(p.numel() for p in model.parameters()) == expected["n_params"]
    model.double()
    rates: dict[str, float] = {}
    for layer, module in model.neurons():
        module.register_forward_hook(lambda _, __, out, layer=layer: rates.update({layer: out.mean().item()}))
    with torch.no_grad():
        logits = model(input_of(case))
    torch.testing.assert_close(logits, torch.tensor(expected["logits"], dtype=torch.float64), rtol=0, atol=1e-6)
    dialect = official(name)
    assert dialect is not None
    parts = dialect.parts(model)
    found = {parts[layer]: rate for layer, rate in rates.items()}
    assert found.keys() == expected["firing_rates"].keys()
    assert len(found) >= 5
    for layer, rate in expected["firing_rates"].items():
        assert found[layer] == pytest.approx(rate, abs=1e-6), layer


SMALL = {
    "resnet19": {"width": 0.125},
    "resnet18": {"width": 0.25, "time_steps": 6, "classes": 100},
    "resnet34": {"width": 0.125, "classes": 7},
    "resnet18-ms": {"width": 0.125, "in_channels": 1},
    "resnet34-ms": {"width": 0.125, "time_steps": 1, "classes": 1000},
    "cifarnet": {"width": 0.0625, "image_size": 48, "classes": 11},
    "widenet7b": {"width": 0.125, "time_steps": 10, "image_size": 128, "in_channels": 2},
}
NEURONS = [
    NeuronConfig(),
    NeuronConfig(share="layer"),
    NeuronConfig(share="layer", time_wise=True),
    NeuronConfig(time_wise=True),
    NeuronConfig(name="glif-f"),
    NeuronConfig(name="glif-f", share="layer"),
]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("neuron", NEURONS, ids=lambda n: f"{n.name}-{n.share}{'-time-wise' * n.time_wise}")
def test_other_sizes_and_neurons_are_recognised(name: str, neuron: NeuronConfig, tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = {"time_steps": 3, "classes": 10} | SMALL[name]
    model = create_model(name, neuron=neuron, **settings).eval()  # type: ignore[arg-type]
    torch.save({"net": as_official(model, name)}, tmp_path / "a.pth")
    source = read_source(tmp_path / "a.pth")
    assert source.format == "official"
    assert (source.config.name, source.config.neuron) == (name, neuron)
    assert (source.config.time_steps, source.config.classes) == (settings["time_steps"], settings["classes"])
    state = source.network.state_dict()
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize(("classes", "hidden"), [(10, 0), (20, 256), (100, 256)])
def test_another_head_than_the_released_rule(classes: int, hidden: int, tmp_path: Path) -> None:
    """The authors' layer-wise ResNet-18 has one linear layer for 10 classes, their others two up to 50."""
    model = create_model("resnet18", classes=100, time_steps=2, width=0.125)
    state = {key: value for key, value in as_official(model, "resnet18").items() if not key.startswith("lastave")}
    sizes = [64, hidden, classes] if hidden else [64, classes]
    state |= {f"lastave.{n}.weight": torch.randn(sizes[n + 1], sizes[n]) for n in range(len(sizes) - 1)}
    torch.save(state, tmp_path / "a.pth")
    target = tmp_path / "a.safetensors"
    assert run(["convert", str(tmp_path / "a.pth"), str(target), "--quiet"]) == 0
    converted, metadata = load(target)
    assert metadata.hidden == hidden
    assert [layer.out_features for layer in converted.head] == sizes[1:]  # type: ignore[union-attr]
    assert torch.equal(converted.head[0].weight, state["lastave.0.weight"])  # type: ignore[arg-type]


def test_a_tdbn_of_another_threshold_gives_the_same_output(tmp_path: Path) -> None:
    model = create_model("resnet18", classes=10, time_steps=2, width=0.125).eval()
    state = as_official(model, "resnet18")
    state["conv1.0.1.Vth"] = torch.tensor(1.0)
    torch.save(state, tmp_path / "a.pth")
    norm, before = read_source(tmp_path / "a.pth").network.stem.norm, model.stem.norm
    x = torch.randn(2, 8, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(norm.eval()(x), 2 * before(x))


def test_what_the_authors_trained_on_is_known(tmp_path: Path) -> None:
    known = (
        ("resnet18", 10, {"dataset": "cifar10"}),
        ("resnet19", 100, {"dataset": "cifar100"}),
        ("resnet34-ms", 1000, {"dataset": "imagefolder", "resize": 256}),
        ("widenet7b", 10, {"dataset": "eventframes"}),
        ("resnet19", 7, {}),
    )
    for name, classes, made in known:
        model = create_model(name, classes=classes, time_steps=2, width=0.125)
        torch.save(as_official(model, name), tmp_path / "a.pth")
        metadata = describe(read_source(tmp_path / "a.pth"), "a.pth")
        assert {key: metadata.made[key] for key in ("dataset", "resize") if key in metadata.made} == made, name


def test_every_problem_is_named(tmp_path: Path) -> None:
    state = as_official(create_model("resnet19", classes=100, time_steps=2, width=0.125), "resnet19")
    state["features.0.lif.tau"] = torch.zeros(7)
    state["features.7.lif.conduct"] = torch.zeros(4, 64)
    state["features.1.bdy.1.Vth"] = state.pop("features.1.body.1.Vth")
    del state["lastave.0.weight"]
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(CheckpointError) as raised:
        read_source(tmp_path / "a.pth", model="resnet19")
    for line in (
        "missing `features.1.body.1.Vth`",
        "unexpected `features.1.bdy.1.Vth`",
        "missing `lastave.0.weight`",
        "`features.0.lif.tau` has shape [7], the model [16]",
        "`features.7.lif.conduct` has shape [4, 64], the model [2, 64]",
    ):
        assert f"  {line}\n" in raised.value.message + "\n", line


def test_one_damaged_tensor_does_not_hide_which_network_it_is(tmp_path: Path) -> None:
    model = create_model("widenet7b", classes=10, time_steps=4, width=0.5)
    for key, shape in (("conv.0.0.0.weight", (5, 2, 1, 1)), ("conv.0.1.conduct", (3, 32)), ("out.weight", (10, 7))):
        state = as_official(model, "widenet7b") | {key: torch.zeros(shape)}
        torch.save(state, tmp_path / "a.pth")
        with pytest.raises(CheckpointError) as raised:
            read_source(tmp_path / "a.pth")
        first, *lines = raised.value.message.splitlines()
        assert "nearest is `widenet7b`, by the names of the format `official`: 1 of another shape" in first
        assert len(lines) == 1
        assert f"`{key}` has shape {list(shape)}" in lines[0]


def test_the_wrong_network_is_told_the_right_one(tmp_path: Path) -> None:
    torch.save(as_official(create_model("widenet7b", time_steps=2, width=0.125), "widenet7b"), tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="is not of `resnet18` but of `widenet7b`, in the format `official`"):
        read_source(tmp_path / "a.pth", model="resnet18")
