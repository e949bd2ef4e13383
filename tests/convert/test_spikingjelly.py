"""SpikingJelly's names there and back, and its GatedLIFNode beside our neuron."""

from pathlib import Path

import pytest
import torch

from glifcli.checkpoint import FORMAT, Metadata, load, save
from glifcli.cli.app import run
from glifcli.convert.keymap import read_map, renamed
from glifcli.convert.recognise import recognise
from glifcli.convert.source import read_source
from glifcli.convert.spikingjelly import to_spikingjelly
from glifcli.errors import CheckpointError, GlifError, ModelError
from glifcli.models.network import SpikingNetwork
from glifcli.models.registry import MODELS, create_model, from_config
from glifcli.neurons.config import NeuronConfig
from glifcli.neurons.glif import GLIF


def saved(
    path: Path, name: str = "resnet19", neuron: NeuronConfig | None = None, width: float = 0.125
) -> SpikingNetwork:
    """A model file of random weights, and the model."""
    torch.manual_seed(0)
    neuron = neuron or NeuronConfig()
    model = create_model(name, classes=10, time_steps=3, width=width, in_channels=3, image_size=32, neuron=neuron)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    metadata = Metadata(
        FORMAT, name, 10, 3, 3, width, neuron, (32, 32), (0.1, 0.2, 0.3), (1.0, 2.0, 3.0), tuple("abcdefghij"),
        {"dataset": "cifar10", "seed": 1},
    )  # fmt: skip
    save(path, model.state_dict(), metadata)
    return model.eval()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("share", ["channel", "layer"])
@pytest.mark.parametrize("name", MODELS)
def test_there_and_back_is_the_same_file(name: str, share: str, suffix: str, tmp_path: Path) -> None:
    ours, theirs, back = tmp_path / "ours.safetensors", tmp_path / f"theirs{suffix}", tmp_path / "back.safetensors"
    saved(ours, name, NeuronConfig(share=share, surrogate="arctan", frozen_gates=True))  # type: ignore[arg-type]
    assert run(["convert", str(ours), str(theirs), "--to", "spikingjelly", "--quiet"]) == 0
    assert run(["convert", str(theirs), str(back), "--like", str(ours), "--quiet"]) == 0
    assert back.read_bytes() == ours.read_bytes()


@pytest.mark.parametrize("width", [0.05, 0.3, 1 / 3, 0.7, 1.3])
@pytest.mark.parametrize("name", ["resnet18", "cifarnet", "widenet7b", "smallnet"])
def test_any_width_is_recognised(name: str, width: float) -> None:
    with torch.device("meta"):
        model = create_model(name, time_steps=2, width=width)
        match = recognise(to_spikingjelly(model), "weights")
        again = from_config(match.config)
    assert match.config.name == name
    assert [v.shape for v in again.state_dict().values()] == [v.shape for v in model.state_dict().values()]


@pytest.mark.parametrize("name", ["resnet34", "resnet34-ms"])
def test_what_could_be_two_networks_is_refused(name: str, tmp_path: Path) -> None:
    """Layer-wise, a block and one that passes membranes have the same names and shapes."""
    model = saved(tmp_path / "a.safetensors", name, NeuronConfig(share="layer"))
    torch.save(to_spikingjelly(model), tmp_path / "a.pth")
    with pytest.raises(CheckpointError) as raised:
        read_source(tmp_path / "a.pth")
    assert "could be `resnet34` or `resnet34-ms`" in raised.value.message
    assert "`--model resnet34`" in raised.value.hint
    assert read_source(tmp_path / "a.pth", model=name).config.name == name


def test_its_names_are_those_of_its_node(tmp_path: Path) -> None:
    model = saved(tmp_path / "a.safetensors")
    leaves = {key.rpartition(".")[2] for key in to_spikingjelly(model) if ".neuron" in key}
    assert leaves == {"alpha", "beta", "gamma", "tau", "v_threshold", "linear_decay", "v_subreset", "conduct"}


def test_without_a_model_to_liken_it_to_the_images_are_open(tmp_path: Path) -> None:
    model = saved(tmp_path / "a.safetensors")
    torch.save(to_spikingjelly(model), tmp_path / "a.pth")
    assert run(["convert", str(tmp_path / "a.pth"), str(tmp_path / "b.safetensors"), "--quiet"]) == 0
    _, metadata = load(tmp_path / "b.safetensors")
    assert (metadata.mean, metadata.std, metadata.class_names) == ((0.0,) * 3, (1.0,) * 3, ())
    assert metadata.made == {
        "glif": metadata.made["glif"],
        "converted_from": "a.pth",
        "format": "spikingjelly",
        "precision": "fp32",
    }


def test_rounded_gates_become_certain_logits(tmp_path: Path) -> None:
    hard = saved(tmp_path / "a.safetensors", neuron=NeuronConfig(mode="hard"))
    state = to_spikingjelly(hard)
    assert set(state["stem.neuron.alpha"].tolist()) == {-200.0, 200.0}
    torch.save(state, tmp_path / "a.pth")
    soft = read_source(tmp_path / "a.pth").network
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(soft(x), hard(x))


@pytest.mark.parametrize(
    ("neuron", "words"),
    [
        (NeuronConfig(name="lif"), "`LIF`"),
        (NeuronConfig(name="glif-f"), "`GLIFf`"),
        (NeuronConfig(time_wise=True), "by time step"),
    ],
)
def test_what_its_node_cannot_hold(neuron: NeuronConfig, words: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=words):
        to_spikingjelly(saved(tmp_path / "a.safetensors", neuron=neuron))


def test_another_network_by_a_map(tmp_path: Path) -> None:
    model = saved(tmp_path / "a.safetensors", "smallnet")
    names = {"stem.conv": "c0", "stem.norm": "b0", "stem.neuron": "sn0", "layers.0": "block.a", "layers.1": "block.b"}
    state = {}
    for key, value in to_spikingjelly(model).items():
        old = next((old for old in names if key.startswith(f"{old}.")), None)
        state[key if old is None else names[old] + key.removeprefix(old)] = value
    torch.save({"model": {**state, "lost": torch.ones(1)}}, tmp_path / "a.pth")
    lines = [f'"{theirs}" = "{ours}"' for ours, theirs in names.items()]
    (tmp_path / "map.toml").write_text("[keys]\nlost = ''\n" + "\n".join(lines))
    arguments = [str(tmp_path / "a.pth"), str(tmp_path / "b.safetensors"), "--map", str(tmp_path / "map.toml")]
    assert run(["convert", *arguments, "--quiet"]) == 0
    converted, _ = load(tmp_path / "b.safetensors")
    assert all(torch.equal(converted.state_dict()[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ({"a": "x", "nothing": "y"}, "`nothing` meets no tensor"),
        ({"a": "b"}, "`b.w` is one more `b.w`"),
    ],
)
def test_a_map_that_does_not_fit(names: dict[str, str], problem: str) -> None:
    with pytest.raises(CheckpointError, match=problem):
        renamed({"a.w": torch.ones(1), "b.w": torch.ones(1), "ab.w": torch.ones(1)}, names, "file")


def test_a_map_replaces_whole_parts_and_the_longest(tmp_path: Path) -> None:
    tensors = {"a.w": torch.ones(1), "a.b.w": torch.ones(1), "ab.w": torch.ones(1)}
    assert renamed(tensors, {"a": "x", "a.b": "y"}, "file").keys() == {"x.w", "y.w", "ab.w"}


@pytest.mark.parametrize("text", ["", "[keys]", "keys = 3", "[keys]\na = 1", "not toml"])
def test_a_map_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(GlifError, match=r"map\.toml"):
        read_map(tmp_path / "map.toml")


def node_of(neuron: GLIF) -> torch.nn.Module:
    """SpikingJelly's node with the neuron's parameters."""
    reason = "SpikingJelly is not installed: pip install 'glif[dev]'"
    library = pytest.importorskip("spikingjelly.activation_based.neuron", reason=reason)
    node = library.GatedLIFNode(T=neuron.time_steps, inplane=neuron.channels)
    names = {"threshold": "v_threshold", "leak": "linear_decay", "reset": "v_subreset", "conductance": "conduct"}
    state = {names.get(key, key): value for key, value in neuron.state_dict().items()}
    assert node.state_dict().keys() == state.keys()
    node.load_state_dict(state)
    return node


def test_its_node_gives_the_same_spikes() -> None:
    torch.manual_seed(0)
    neuron = GLIF(8, 6, backend="reference")
    for parameter in neuron.parameters():
        torch.nn.init.normal_(parameter)
    node = node_of(neuron).double()
    # In float64 no sum comes so near the threshold that its rounding decides.
    x = 0.5 + torch.randn(6, 4, 8, 9, 9, dtype=torch.float64)
    with torch.no_grad():
        ours, theirs = neuron.double()(x), node(x)
    assert 0.1 < ours.mean() < 0.9
    assert torch.equal(ours, theirs)


def test_at_the_threshold_its_node_fires_and_ours_does_not() -> None:
    neuron = GLIF(1, 1, backend="reference")
    with torch.no_grad():
        # No leak and no gating of the current: the membrane is the current. The threshold is 0.5.
        neuron.alpha.fill_(200)
        neuron.beta.fill_(-200)
        neuron.threshold.zero_()
    node = node_of(neuron)
    half = torch.full((1, 1, 1, 1, 1), 0.5)
    above = torch.nextafter(half, torch.ones(()))
    with torch.no_grad():
        assert (neuron(half).item(), node(half).item()) == (0.0, 1.0)
        node.reset()  # type: ignore[operator]
        assert (neuron(above).item(), node(above).item()) == (1.0, 1.0)
