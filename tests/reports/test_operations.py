import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glifcli.models.registry import create_model
from glifcli.ops import Constants
from glifcli.reports.firing import FiringCounter
from glifcli.reports.operations import OperationCounter, neuron_operations
from glifcli.reports.synapses import convolved, fan_out, multiplied
from tests.reports.conftest import hand_image, hand_network, hooks, lively


def count(model, *inputs):
    model.eval()
    with FiringCounter(model) as firing, OperationCounter(model) as counter, torch.inference_mode():
        for x in inputs:
            model(x)
    return counter.operations(firing.spikes())


def test_hand_worked_still_image():
    # The same for every image, so batches of 2 and 1 give the figures of one.
    image = hand_image(2.5)
    o = count(hand_network(), torch.stack([image, image]), image[None])
    stem, conv, head = o.layers
    # Stem: 2 x 4 x 4 outputs x 9 weights, once for both steps; its input, 0 and 2.5, is no count of spikes.
    assert (stem.name, stem.binary_input, stem.macs, stem.acs) == ("stem.conv", False, 288, 0)
    assert (stem.whole_input, stem.input_mean) == (False, None)
    assert stem.input_rate == pytest.approx(2 / 16)
    # Layer: 3 x 2 x 2 outputs x 2 x 9 weights x 2 steps = 432 at a rate of 4 / 32.
    assert (conv.name, conv.binary_input, conv.macs) == ("layers.0.conv", True, 0)
    assert conv.acs == pytest.approx(54)
    assert (conv.whole_input, conv.input_mean) == (True, 4 / 32)
    # Head: 3 x 5 weights x 2 steps; its input is a mean over space.
    assert (head.name, head.binary_input, head.macs, head.acs) == ("head.0", False, 30, 0)
    assert o.macs == 318
    assert o.acs == pytest.approx(54)
    # Pixel (0, 0) lies in 1 window and pixel (1, 2) in 2 (row 1 in both rows of windows), each feeds 3
    # channels: (1 + 2) x 3 synapses x 2 channels x 2 steps = 36.
    assert o.synaptic_operations == 36 + 318
    # 44 neurons x 2 steps: decay is a MAC, gain (1) and threshold are ACs; no leak; a hard reset is free.
    assert o.neuron_ops == 88 * 3
    assert o.neuron_energy_uj == pytest.approx((88 * 4.6 + 176 * 0.9) * 1e-6)
    assert o.energy_uj == pytest.approx((318 * 4.6 + 54 * 0.9 + 88 * 4.6 + 176 * 0.9) * 1e-6)
    assert o.ann_macs == 288 + 216 + 15
    assert o.ann_energy_uj == pytest.approx(519 * 4.6e-6)
    assert sum(layer.energy_uj for layer in o.layers) + o.neuron_energy_uj == pytest.approx(o.energy_uj)


def test_event_frames_pass_the_stem_at_each_step():
    frames = hand_image(2.5).expand(1, 2, 1, 4, 4)
    o = count(hand_network(), frames)
    assert o.layers[0].macs == 576
    assert o.ann_macs == 519


def test_binary_event_frames_cost_accumulates_in_the_stem():
    frames = hand_image(1.0).expand(1, 2, 1, 4, 4)
    o = count(hand_network(), frames)
    # 2 of 16 pixels; 2 x 2 windows see the corner, 3 x 3 pixel (1, 2), both for 2 channels and 2 steps.
    assert o.layers[0].binary_input
    assert o.layers[0].acs == pytest.approx(576 * 2 / 16)
    assert o.synaptic_operations == 30 + 36 + (4 + 9) * 2 * 2


def test_a_silent_network_has_no_spikes_in_its_head():
    conv, head = count(hand_network(), torch.zeros(1, 1, 4, 4)).layers[1:]
    assert (conv.binary_input, conv.macs, conv.acs) == (True, 0, 0)
    # The mean over space is a real number, though it is 0 everywhere.
    assert (head.binary_input, head.whole_input, head.macs, head.acs) == (False, False, 30, 0)


def test_counts_of_events_cost_an_accumulate_each():
    frames = hand_image(3.0).expand(1, 2, 1, 4, 4)
    stem = count(hand_network(), frames).layers[0]
    assert (stem.binary_input, stem.whole_input, stem.macs) == (False, True, 0)
    # Three times those of a single event; the share of pixels with events is the same.
    assert stem.input_rate == pytest.approx(2 / 16)
    assert stem.input_mean == pytest.approx(6 / 16)
    assert stem.acs == pytest.approx(3 * 576 * 2 / 16)
    assert count(hand_network(), frames).synaptic_operations == 30 + 36 + 3 * (4 + 9) * 2 * 2


def test_one_batch_that_is_not_whole_makes_the_layer_dense():
    o = count(hand_network(), hand_image(1.0)[None], hand_image(2.5)[None])
    assert not o.layers[0].binary_input
    assert not o.layers[0].whole_input
    assert o.layers[0].macs == 288
    o = count(hand_network(), hand_image(1.0)[None], hand_image(2.0)[None])
    assert not o.layers[0].binary_input
    assert (o.layers[0].macs, o.layers[0].acs) == (0, pytest.approx(288 * 1.5 * 2 / 16))


@pytest.mark.parametrize("value", [-1.0, 0.5, -0.5, float("nan"), float("inf")])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_what_is_no_number_of_spikes(value, layout, dtype):
    conv = nn.Conv2d(2, 3, 3, padding=1).to(dtype)
    x = (torch.rand(4, 2, 5, 6) < 0.3).to(dtype) * 2
    x[2, 1, 3, 4] = value
    x = x.contiguous(memory_format=layout)
    output = conv(x)
    counts = convolved(conv, x, output, fan_out(conv, x.shape[-2:], output.shape[-2:])).counts
    assert counts[0].tolist() == [1] * 4
    assert counts[4].tolist() == [0, 0, 1, 0]
    whole = [0, 1, 3]
    assert counts[1][whole].tolist() == x[whole].double().sum((1, 2, 3)).tolist()
    assert counts[2].tolist() == (x != 0).sum((1, 2, 3)).tolist() or value != value
    flat = multiplied(nn.Linear(60, 7).to(dtype), x.flatten(1)).counts
    assert flat[4].tolist() == [0, 0, 1, 0]
    assert flat[3][whole].tolist() == (7 * counts[1][whole]).tolist()


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "padding": 1, "stride": 2},
        {"kernel_size": 7, "padding": 1, "stride": 2},
        {"kernel_size": 1, "stride": 2},
        {"kernel_size": (3, 2), "padding": (0, 1), "dilation": 2, "stride": (1, 3)},
        {"kernel_size": (3, 5), "padding": "same", "dilation": 2},
        {"kernel_size": 3, "padding": "valid", "groups": 2},
        {"kernel_size": 3, "padding": 1, "groups": 4},
    ],
)
def test_fan_out_agrees_with_a_convolution_by_ones(settings):
    conv = nn.Conv2d(4, 8, bias=False, **settings)
    spikes = torch.poisson(torch.full((3, 4, 11, 9), 0.4))
    with torch.no_grad():
        conv.weight.fill_(1)
        # Each synapse that carries k spikes adds k to one output.
        output = conv(spikes)
    applied = convolved(conv, spikes, output, fan_out(conv, spikes.shape[-2:], output.shape[-2:]))
    assert applied.counts[3].tolist() == output.double().sum((1, 2, 3)).tolist()


def test_a_residual_network_by_an_independent_formula():
    torch.manual_seed(0)
    model = lively(create_model("resnet19", width=0.125, time_steps=2, in_channels=1)).eval()
    calls = []
    handles = [
        m.register_forward_hook(lambda m, i, o, n=n: calls.append((n, m, i[0].clone(), o.clone())))
        for n, m in model.named_modules()
        if isinstance(m, nn.Conv2d | nn.Linear)
    ]
    o = count(model, torch.randn(2, 1, 16, 16))
    for handle in handles:
        handle.remove()
    macs = acs = events = ann = 0.0
    for name, module, x, y in calls:
        if isinstance(module, nn.Linear):
            macs += y.numel() * module.in_features
            events += y.numel() * module.in_features
            ann += module.weight.numel()
            continue
        dense = y.numel() * module.in_channels * module.kernel_size[0] * module.kernel_size[1]
        ann += dense / len(x)
        if name == "stem.conv":
            assert len(x) == 2
            macs, events = macs + dense, events + dense
            continue
        assert len(x) == 4
        acs += dense * x.double().mean().item()
        ones = torch.ones_like(module.weight)
        events += F.conv2d(x, ones, None, module.stride, module.padding).double().sum().item()
    assert len(calls) == 1 + 16 + 2 + 2
    assert o.macs == pytest.approx(macs / 2)
    assert 0 < o.acs == pytest.approx(acs / 2)
    assert o.synaptic_operations == pytest.approx(events / 2)
    assert o.ann_macs == pytest.approx(ann)


def constants(decay=0.5, leak=0.0, gain=1.0, reset_gate=1.0, reset_sub=0.0):
    values = (decay, leak, gain, reset_gate, reset_sub, 0.5)
    return Constants(*(torch.tensor([value, value]) for value in values))


@pytest.mark.parametrize(
    ("settings", "macs", "acs"),
    [
        # 100 updates and 10 spikes. LIF: decay a MAC, gain and threshold ACs.
        ({}, 100, 200),
        # A soft reset: an accumulate a spike.
        ({"reset_gate": 0.0, "reset_sub": 0.5}, 100, 210),
        # Integrate and fire: no decay to multiply by.
        ({"decay": 1.0}, 0, 300),
        # GLIF between all behaviours: decay and gain MACs, leak and threshold ACs, both parts of the reset.
        ({"leak": 0.1, "gain": 0.7, "reset_gate": 0.5, "reset_sub": 0.2}, 210, 210),
    ],
)
def test_neuron_operations(settings, macs, acs):
    assert neuron_operations(constants(**settings), 100, 10) == (macs, acs)


def test_a_gain_that_is_one_in_one_channel_only_is_multiplied():
    mixed = constants()
    mixed.gain[1] = 0.5
    assert neuron_operations(mixed, 100, 0) == (200, 100)


def test_hooks_go_even_after_an_error(smallnet):
    with pytest.raises(RuntimeError, match="stop"), OperationCounter(smallnet):
        raise RuntimeError("stop")
    assert hooks(smallnet) == 0
