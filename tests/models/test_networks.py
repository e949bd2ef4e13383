"""Every registered network: shapes, still images against frames, width, what it refuses."""

import pytest
import torch

from glifcli.errors import ModelError
from glifcli.models.registry import MODELS, create_model
from glifcli.neurons.config import NeuronConfig

SMALL = {
    "resnet19": 0.125,
    "resnet18": 0.125,
    "resnet34": 0.125,
    "resnet18-ms": 0.125,
    "resnet34-ms": 0.125,
    "cifarnet": 0.0625,
    "widenet7b": 0.125,
    "smallnet": 0.25,
}


def test_every_network_has_a_small_width_here() -> None:
    assert SMALL.keys() == MODELS.keys()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("neuron", ["glif", "glif-f", "lif", "plif"])
def test_every_network_learns_with_every_neuron(name: str, neuron: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, classes=5, time_steps=2, neuron=neuron, width=SMALL[name], in_channels=3, image_size=16)
    logits = model(torch.randn(3, 3, 16, 16))
    assert logits.shape == (3, 5)
    logits.logsumexp(1).sum().backward()
    silent = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert silent == []


@pytest.mark.parametrize("name", MODELS)
def test_a_still_image_is_the_image_at_every_time_step(name: str) -> None:
    torch.manual_seed(0)
    image = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    frames = image.unsqueeze(1).repeat(1, 3, 1, 1, 1)
    models = []
    for x in (image, frames):
        torch.manual_seed(1)
        model = create_model(name, time_steps=3, width=SMALL[name], in_channels=3, image_size=16).double().train()
        models.append((model, model(x)))
    (still, a), (moving, b) = models
    torch.testing.assert_close(a, b)
    for key, value in moving.state_dict().items():
        torch.testing.assert_close(still.state_dict()[key], value, msg=key)
    torch.testing.assert_close(still.eval()(image), moving.eval()(frames))


def test_channels_last_and_bfloat16_keep_their_layout() -> None:
    model = create_model("resnet19", time_steps=2, width=0.125).to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    seen = []
    for _, neuron in model.neurons():
        neuron.register_forward_hook(lambda _, inputs, out: seen.append((out.dtype, out.flatten(0, 1).stride(1))))
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(x)
    assert logits.dtype == torch.float32
    assert set(seen) == {(torch.bfloat16, 1)}
    assert len(seen) == 17


def test_width_scales_the_channels() -> None:
    assert create_model("resnet19", width=0.25).stem.conv.out_channels == 32
    assert create_model("resnet19", width=0.01).stem.conv.out_channels == 8
    assert create_model("resnet19", width=1.5).stem.conv.out_channels == 192


def test_ten_classes_have_a_second_linear_layer() -> None:
    assert [layer.out_features for layer in create_model("resnet19", classes=10, width=0.125).head] == [32, 10]
    assert [layer.out_features for layer in create_model("resnet19", classes=100, width=0.125).head] == [100]


def test_the_same_seed_makes_the_same_network() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in create_model("smallnet").parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.zeros(2, 1, 8, 8), ["1 channels", "3"]),
        (torch.zeros(3, 8, 8), ["3 dimensions"]),
        (torch.zeros(2, 5, 3, 8, 8), ["5 time steps", "2"]),
        (torch.zeros(2, 2, 4, 8, 8), ["4 channels", "3"]),
    ],
)
def test_a_wrong_input_names_both_numbers(x: torch.Tensor, words: list[str]) -> None:
    with pytest.raises(ModelError) as raised:
        create_model("smallnet", time_steps=2)(x)
    assert all(word in raised.value.message for word in words), raised.value.message
    assert raised.value.hint


def test_unknown_names_and_sizes_are_refused() -> None:
    with pytest.raises(ModelError) as raised:
        create_model("resnet9")
    assert raised.value.hint == "did you mean `resnet19`?"
    with pytest.raises(ModelError, match="`time_steps` is 0"):
        create_model("smallnet", time_steps=0)
    with pytest.raises(ModelError, match="`classes` is 0"):
        create_model("smallnet", classes=0)
    with pytest.raises(ModelError, match="`width` is -1"):
        create_model("smallnet", width=-1)


def test_neuron_settings_reach_every_layer() -> None:
    model = create_model("resnet18", width=0.125, neuron=NeuronConfig(surrogate="triangle"), backend="reference")
    assert {(neuron.surrogate, neuron.backend) for _, neuron in model.neurons()} == {("triangle", "reference")}
    assert len(list(model.neurons())) == 17
