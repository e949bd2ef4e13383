"""tdBN, residual sum and neurons as one step, and networks folded for inference, against the plain network."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from glifcli.models.folding import FixedNeuron, FixedNorm, folded
from glifcli.models.network import SpikingNetwork, fire
from glifcli.models.registry import MODELS, create_model
from glifcli.models.tdbn import BRANCH, TdBN
from glifcli.neurons.config import NeuronConfig
from glifcli.neurons.glif import GLIF

BACKENDS = ("reference", "numba")


def channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)


def run(backend: str, ys: list[Tensor], weight: Tensor, *, training: bool) -> dict[str, Tensor]:
    """Spikes of neurons on normalised `ys`, the gradients of a random loss, the running statistics."""
    torch.manual_seed(1)
    channels, time_steps = ys[0].shape[2], weight.shape[0]
    # A smooth surrogate, so that the gradients do not hang on the side of an edge that rounding falls to.
    neuron = GLIF(channels, time_steps, surrogate="arctan", backend=backend)
    norms = [TdBN(channels, BRANCH if len(ys) == 2 else 1.0).train(training) for _ in ys]
    for norm in norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
        torch.nn.init.uniform_(norm.bias, -0.2, 0.5)
        assert norm.running_mean is not None
        norm.running_mean.normal_()
    leaves = [y.detach().clone(memory_format=torch.preserve_format).requires_grad_() for y in ys]
    repeats = time_steps if ys[0].shape[0] == 1 else 1
    spikes = fire(neuron, *zip(norms, leaves, strict=True), repeats=repeats)
    (spikes.float() * weight).sum().backward()
    found = {"spikes": spikes.detach()}
    found |= {f"gradient of y{n}": leaf.grad for n, leaf in enumerate(leaves) if leaf.grad is not None}
    for n, module in enumerate([neuron, *norms]):
        found |= {f"gradient of {n}.{k}": v.grad for k, v in module.named_parameters() if v.grad is not None}
        found |= {f"{n}.{k}": v for k, v in module.named_buffers()}
    return found


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("branches", [1, 2])
@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("lay", [Tensor.contiguous, channels_last])
def test_one_step_is_norm_sum_and_neurons(training: bool, branches: int, repeats: bool, lay: object) -> None:
    torch.manual_seed(0)
    steps = 1 if repeats else 2
    ys = [lay(3 + 2 * torch.randn(steps, 3, 20, 5, 6)) for _ in range(branches)]  # type: ignore[operator]
    weight = torch.randn(2, 3, 20, 5, 6)
    expected, got = (run(backend, ys, weight, training=training) for backend in BACKENDS)
    assert expected.keys() == got.keys()
    assert len(expected) == 1 + branches + 8 + 2 * branches + 3 * branches
    assert 0.05 < expected["spikes"].mean() < 0.95
    assert torch.equal(got["spikes"], expected["spikes"])
    for name, value in expected.items():
        scale = value.double().abs().max().item() + 1e-6
        torch.testing.assert_close(got[name], value, rtol=0, atol=1e-4 * scale, msg=name)


@pytest.mark.parametrize("time_steps", [10, 3])
def test_a_still_image_over_more_steps_than_a_kernel_unrolls(time_steps: int) -> None:
    torch.manual_seed(0)
    ys, weight = [torch.randn(1, 2, 17, 3, 3)], torch.randn(time_steps, 2, 17, 3, 3)
    expected, got = (run(backend, ys, weight, training=True) for backend in BACKENDS)
    assert torch.equal(got["spikes"], expected["spikes"])
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_bfloat16_is_normalised_in_float32() -> None:
    torch.manual_seed(0)
    y, weight = channels_last(3 + 2 * torch.randn(2, 8, 20, 9, 9)).bfloat16(), torch.randn(2, 8, 20, 9, 9)
    wide, got = run("numba", [y.float()], weight, training=True), run("numba", [y], weight, training=True)
    assert got["spikes"].dtype == got["gradient of y0"].dtype == torch.bfloat16
    assert torch.equal(got["spikes"].float(), wide["spikes"])
    scale = wide["gradient of y0"].abs().max().item()
    torch.testing.assert_close(got["gradient of y0"].float(), wide["gradient of y0"], rtol=0, atol=2e-2 * scale)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """More threads only wait for each other in networks as small as these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def networks() -> dict[str, SpikingNetwork]:
    def make(backend: str) -> SpikingNetwork:
        torch.manual_seed(0)
        network = create_model("resnet19", classes=7, time_steps=2, width=1 / 16, backend=backend)
        for module in network.modules():
            if isinstance(module, TdBN):
                torch.nn.init.uniform_(module.weight, 1, 3)
                torch.nn.init.uniform_(module.bias, 0, 0.5)
        return network.to(memory_format=torch.channels_last)

    return {backend: make(backend) for backend in BACKENDS}


def test_a_training_step_keeps_less_than_a_third_for_the_backward_pass(networks: dict[str, SpikingNetwork]) -> None:
    kept = {}
    images = torch.randn(4, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    for backend, network in networks.items():
        storages: dict[int, int] = {}

        def keep(tensor: Tensor, storages: dict[int, int] = storages) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            network(images)
        own = sum(parameter.untyped_storage().nbytes() for parameter in network.parameters())
        kept[backend] = sum(storages.values()) - own
    assert kept["numba"] > 0
    assert kept["numba"] < kept["reference"] / 3


def test_a_network_learns_the_same_on_both(networks: dict[str, SpikingNetwork]) -> None:
    torch.manual_seed(0)
    images, labels = torch.randn(8, 3, 16, 16), torch.randint(7, (8,))
    losses: dict[str, list[float]] = {}
    for backend, network in networks.items():
        optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
        losses[backend] = []
        for _ in range(8):
            optimiser.zero_grad()
            loss = F.cross_entropy(network(images), labels)
            loss.backward()
            optimiser.step()
            losses[backend].append(loss.item())
    assert losses["numba"][-1] < 0.8 * losses["numba"][0]
    assert losses["numba"][0] == pytest.approx(losses["reference"][0], rel=0.02)
    assert losses["numba"][1:3] == pytest.approx(losses["reference"][1:3], rel=0.05)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_folded_network_gives_the_same_logits(networks: dict[str, SpikingNetwork], backend: str) -> None:
    torch.manual_seed(0)
    images = torch.randn(6, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    network = networks[backend]
    network(images)  # running statistics that are not those of the beginning
    before = {name: value.clone() for name, value in network.state_dict().items()}
    small = folded(network)
    with torch.inference_mode():
        expected, got = network.eval()(images), small(images)
        assert torch.equal(small(images), got)
    # A membrane near its threshold may fall to the other side: all but a few spikes are the same.
    assert (got - expected).abs().max() < 0.05 * expected.abs().max()
    assert (got.argmax(1) == expected.argmax(1)).all()
    assert [name for name, _ in small.neurons()] == [name for name, _ in network.neurons()]
    assert not any(isinstance(module, TdBN | GLIF) for module in small.modules())
    assert any(isinstance(module, FixedNorm) for module in small.modules())
    assert all(isinstance(neuron, FixedNeuron) for _, neuron in small.neurons())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("name", MODELS)
def test_every_network_folds_to_the_same_function(name: str) -> None:
    torch.manual_seed(0)
    network = create_model(name, time_steps=3, width=1 / 16, in_channels=3, image_size=16, backend="reference").double()
    for module in network.modules():
        if isinstance(module, TdBN):
            torch.nn.init.uniform_(module.weight, 1, 3)
            torch.nn.init.uniform_(module.bias, 0, 0.5)
    images = torch.randn(3, 3, 16, 16, dtype=torch.float64)
    network(images)  # running statistics that are not those of the beginning
    with torch.inference_mode():
        expected, got = network.eval()(images), folded(network)(images)
    assert expected.std() > 1e-3
    # In float64 no membrane comes so near its threshold that rounding decides.
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-9)


def test_folding_leaves_nothing_to_learn(networks: dict[str, SpikingNetwork]) -> None:
    small = folded(networks["numba"])
    assert not any(parameter.requires_grad for parameter in small.parameters())
    assert not small.training


@pytest.mark.parametrize("neuron", ["lif", "plif", "glif-f"])
def test_every_neuron_is_fused_and_folded(neuron: str) -> None:
    torch.manual_seed(0)
    network = create_model("smallnet", time_steps=3, neuron=NeuronConfig(name=neuron), width=0.25, backend="numba")
    images = torch.randn(4, 3, 8, 8)
    network(images).sum().backward()
    with torch.inference_mode():
        expected = network.eval()(images)
        torch.testing.assert_close(folded(network)(images), expected, rtol=0, atol=0.05)
