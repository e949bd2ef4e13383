import pytest
import torch

from glifcli.errors import GlifError
from glifcli.models.registry import create_model
from glifcli.reports.firing import FiringCounter
from tests.reports.conftest import hand_image, hand_network, hooks, lively


def test_hand_worked_rates():
    model = hand_network().eval()
    with FiringCounter(model) as counter:
        model(torch.stack([hand_image(2.0), hand_image(2.0)]))
    rates = counter.rates()
    stem, layer = rates.layers
    # Stem: 2 pixels x 2 channels of 32 neurons fire at each of the 2 steps.
    assert (stem.name, stem.rate, stem.per_step) == ("stem.neuron", 4 / 32, (4 / 32, 4 / 32))
    assert stem.silent_fraction == 28 / 32
    # Layer: of rows and columns 0 and 2 only pixel (0, 0) is set: 1 of 12 neurons.
    assert layer.rate == pytest.approx(1 / 12)
    assert layer.silent_fraction == pytest.approx(11 / 12)
    # Network: 5 of 44 neurons, not the mean of 4/32 and 1/12.
    assert rates.network == pytest.approx(5 / 44)


def test_a_neuron_that_fires_once_is_not_silent():
    model = hand_network().eval()
    with FiringCounter(model) as counter:
        model(torch.zeros(3, 1, 4, 4))
        model(hand_image(2.0)[None])
    stem = counter.rates().layers[0]
    assert stem.silent_fraction == 28 / 32
    assert stem.rate == 4 / 32 / 4


@pytest.mark.parametrize("name", ["smallnet", "resnet19"])
def test_brute_force(name):
    torch.manual_seed(0)
    model = lively(create_model(name, width=0.125, time_steps=3, in_channels=1)).eval()
    seen = {}
    handles = [
        neuron.register_forward_hook(lambda m, i, o, n=n: seen.setdefault(n, []).append(o.clone()))
        for n, neuron in model.neurons()
    ]
    with FiringCounter(model) as counter, torch.inference_mode():
        for size in (4, 2):
            model(torch.randn(size, 1, 8, 8))
    for handle in handles:
        handle.remove()
    rates = counter.rates()
    spikes = {n: torch.cat(parts, 1).double() for n, parts in seen.items()}
    assert [layer.name for layer in rates.layers] == [n for n, _ in model.neurons()]
    for layer in rates.layers:
        s = spikes[layer.name]
        assert layer.rate == pytest.approx(s.mean().item())
        assert layer.per_step == pytest.approx(s.flatten(1).mean(1).tolist())
        assert layer.silent_fraction == pytest.approx((s.amax((0, 1)) == 0).double().mean().item())
    everything = torch.cat([s.flatten() for s in spikes.values()])
    assert 0 < rates.network == pytest.approx(everything.mean().item())


def test_counts_in_training_too_and_across_inference_mode(smallnet):
    with FiringCounter(smallnet) as counter:
        with torch.inference_mode():
            smallnet(torch.randn(2, 1, 8, 8))
        smallnet.train()(torch.randn(2, 2, 1, 8, 8)).sum().backward()
    assert counter.spikes()[0].images == 4
    assert not counter.spikes()[0].counts.requires_grad


def test_hooks_go_even_after_an_error(smallnet):
    with pytest.raises(RuntimeError, match="stop"), FiringCounter(smallnet):
        raise RuntimeError("stop")
    assert hooks(smallnet) == 0


def test_no_image_and_two_sizes_are_errors(smallnet):
    with FiringCounter(smallnet) as counter:
        with pytest.raises(GlifError, match="no image"):
            counter.rates()
        smallnet(torch.randn(2, 1, 8, 8))
        with pytest.raises(GlifError, match=r"stem\.neuron.*16, 16"):
            smallnet(torch.randn(2, 1, 16, 16))
