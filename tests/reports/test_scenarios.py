import pytest
import torch
from torch import nn

from glifcli.errors import AnswerNo, DataError, GlifError
from glifcli.models.registry import create_model
from glifcli.models.time_steps import CONDUCTANCES, passes, with_time_steps
from glifcli.neurons.config import NeuronConfig
from glifcli.reports.evaluation import evaluate
from glifcli.reports.scenarios import Pass, confident, fixed, run_scenarios
from tests.reports.conftest import CPU, hand_image, hand_network, hooks, lively

F32 = torch.float32


def network(architecture="smallnet", backend="auto", steps=4, channels=1, **neuron):
    torch.manual_seed(0)
    model = create_model(
        architecture,
        width=0.25 if architecture == "smallnet" else 0.125,
        time_steps=steps,
        neuron=NeuronConfig(**neuron),
        in_channels=channels,
        backend=backend,
    ).eval()
    with torch.no_grad():
        for _, layer in model.neurons():
            for timed in layer.timed():
                layer.get_parameter(timed).add_(torch.randn_like(layer.get_parameter(timed)))
        # A head that is sure of itself, so that thresholds divide the images.
        for head in model.head:
            head.weight.mul_(6)
    return lively(model)


def run(model, scenarios, batches, dtype=F32):
    return run_scenarios([Pass(model, tuple(scenarios))], batches, device=CPU, dtype=dtype)[0]


def assert_same(outcome, evaluation, steps):
    """An outcome of all images at that many steps has the figures of the plain evaluation."""
    assert outcome.images == evaluation.images
    assert (outcome.scores.top1, outcome.scores.top5) == (evaluation.top1, evaluation.top5)
    assert outcome.scores.loss == pytest.approx(evaluation.loss, abs=1e-6)
    assert outcome.spent.firing_rate == evaluation.firing_rate.network
    assert outcome.spent.operations == evaluation.operations
    assert outcome.spent.mean_time_steps == steps
    assert outcome.spent.stopped[steps - 1] == 1


@pytest.mark.parametrize("conductance", CONDUCTANCES)
@pytest.mark.parametrize(
    "settings", [{}, {"backend": "reference"}, {"time_wise": True, "mode": "hard"}, {"name": "lif"}]
)
def test_each_number_of_steps_is_what_its_own_evaluation_says(conductance, settings, batches):
    model = network(**settings)
    counts = (1, 2, 4) if conductance == "first" else (1, 2, 4, 7)
    groups = passes(with_time_steps(model, steps, conductance) for steps in counts)
    planned = [Pass(group[0], tuple(fixed(each.time_steps) for each in group)) for group in groups]
    results = run_scenarios(planned, batches, device=CPU, dtype=F32)
    seen = set()
    for group, outcomes in zip(groups, results, strict=True):
        for each, outcome in zip(group, outcomes, strict=True):
            seen.add(each.time_steps)
            alone = evaluate(with_time_steps(model, each.time_steps, conductance), batches, device=CPU, dtype=F32)
            assert_same(outcome, alone, each.time_steps)
    assert seen == set(counts)


def test_a_residual_network_too(batches):
    model = network("resnet19", steps=3)
    for steps, outcome in zip((1, 2, 3), run(model, map(fixed, (1, 2, 3)), batches), strict=True):
        assert_same(outcome, evaluate(with_time_steps(model, steps), batches, device=CPU, dtype=F32), steps)


def test_event_frames():
    model = network(channels=2)
    generator = torch.Generator().manual_seed(2)
    frames = torch.poisson(torch.full((5, 6, 2, 8, 8), 0.3), generator=generator)
    labels = torch.tensor([0, 1, 2, 3, 4])
    for steps in (1, 4, 6):
        outcome = run(with_time_steps(model, steps), [fixed(steps)], [(frames, labels)])[0]
        cut = evaluate(with_time_steps(model, steps), [(frames[:, :steps], labels)], device=CPU, dtype=F32)
        assert_same(outcome, cut, steps)
        assert outcome.spent.operations.layers[0].whole_input
    with pytest.raises(DataError, match=r"`6` event frames.*`7` time steps") as refused:
        run(with_time_steps(model, 7), [fixed(7)], [(frames, labels)])
    assert "at most 6" in refused.value.hint


def by_hand(model, batches, threshold):
    """Early exit in a loop over images and steps: right answers, steps and, by layer, spikes; the exits."""
    right, ran, spikes, events = 0, [], 0, 0.0
    seen = {}
    handles = [
        neuron.register_forward_hook(lambda m, i, o, n=n: seen.__setitem__(n, o.clone()))
        for n, neuron in model.neurons()
    ]
    convs = [
        m.register_forward_hook(lambda m, i, o, n=n: seen.__setitem__(n, (m, i[0].clone())))
        for n, m in model.named_modules()
        if isinstance(m, nn.Conv2d) and n != "stem.conv"
    ]
    for images, labels in batches:
        for image, label in zip(images, labels.tolist(), strict=True):
            with torch.no_grad():
                logits = model.sequence(image[None])[:, 0].double()
            for step in range(1, model.time_steps + 1):
                answer = [sum(logits[t][k].item() for t in range(step)) / step for k in range(logits.shape[1])]
                top = max(answer)
                total = sum(2.718281828459045 ** (value - top) for value in answer)
                if 1 / total > threshold or step == model.time_steps:
                    break
            ran.append(step)
            right += answer.index(top) == label
            for value in seen.values():
                if isinstance(value, tuple):
                    conv, x = value
                    ones = torch.ones_like(conv.weight)
                    y = nn.functional.conv2d(x[:step], ones, None, conv.stride, conv.padding)
                    events += y.double().sum().item()
                else:
                    spikes += value[:step].double().sum().item()
    for handle in handles + convs:
        handle.remove()
    return right, ran, spikes, events


@pytest.mark.parametrize("threshold", [0.2, 0.3, 0.4, 0.9])
def test_early_exit_against_a_loop(threshold, batches):
    model = network(backend="reference")
    outcome = run(model, [confident(threshold)], batches)[0]
    right, ran, spikes, events = by_hand(model, batches, threshold)
    images, total = len(ran), sum(ran)
    assert len(set(ran)) > 1 or threshold == 0.9
    assert outcome.images == images == 8
    assert outcome.scores.top1 == right / images
    assert outcome.spent.mean_time_steps == total / images
    assert outcome.spent.stopped == tuple(ran.count(step) / images for step in (1, 2, 3, 4))
    neurons = sum(n for n in (8 * 64, 16 * 16, 16 * 4))
    assert outcome.spent.firing_rate == pytest.approx(spikes / (neurons * total))
    # The stem's convolution runs once an image, the head's layer at each step.
    dense = 8 * 64 * 9 + 16 * 10 * total / images
    assert outcome.spent.operations.macs == pytest.approx(dense)
    assert outcome.spent.operations.synaptic_operations == pytest.approx(dense + events / images)


def test_thresholds_order_the_steps_and_one_never_stops(batches):
    model = network()
    thresholds = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
    outcomes = run(model, [*map(confident, thresholds), fixed(4)], batches)
    steps = [outcome.spent.mean_time_steps for outcome in outcomes]
    assert steps == sorted(steps)
    assert steps[0] < 2 < steps[-2] == 4
    assert outcomes[-2] == outcomes[-1]
    energies = [outcome.spent.operations.energy_uj for outcome in outcomes]
    assert energies == sorted(energies)


def test_hand_worked_stops():
    # Two images: in the first all stop after step 1, in the second none does.
    model, image = hand_network(), hand_image(2.5)

    def by_number(answers):
        return torch.tensor([1, 2])

    spent = run(model, [by_number], [(torch.stack([image, image]), torch.tensor([0, 1]))])[0].spent
    assert (spent.stopped, spent.mean_time_steps) == ((0.5, 0.5), 1.5)
    stem, conv, head = spent.operations.layers
    # The stem once; the layer's 216 MACs at 1.5 steps and a rate of 4 / 32; the head's 15 at 1.5 steps.
    assert (stem.macs, stem.acs) == (288, 0)
    assert conv.acs == pytest.approx(1.5 * 216 * 4 / 32)
    assert head.macs == 22.5
    # 44 neurons, 5 spikes a step.
    assert spent.firing_rate == pytest.approx(5 / 44)
    assert spent.operations.neuron_ops == 44 * 1.5 * 3
    assert spent.operations.ann_macs == 288 + 216 + 15


def test_a_gain_of_one_in_the_steps_that_ran_is_not_multiplied(batches):
    model = network()
    with torch.no_grad():
        for _, neuron in model.neurons():
            # The sigmoid of 100 is 1: no gain until the last step, whatever the gates.
            neuron.conductance[:3] = 100.0
            neuron.conductance[3] = 0.0
    short, long = run(model, [fixed(3), fixed(4)], batches)
    assert_same(short, evaluate(with_time_steps(model, 3), batches, device=CPU, dtype=F32), 3)
    assert short.spent.operations.neuron_energy_uj < 0.6 * long.spent.operations.neuron_energy_uj


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions(dtype, batches):
    model = network()
    if dtype == torch.float64:
        model.double()
    outcome = run(model, [fixed(4)], batches, dtype)[0]
    assert_same(outcome, evaluate(model, batches, device=CPU, dtype=dtype), 4)


def test_what_evaluate_refuses_is_refused(batches):
    model = network()
    with pytest.raises(GlifError, match="no image"):
        run(model, [fixed(4)], [])
    with pytest.raises(GlifError, match="int64"):
        run(model, [fixed(4)], batches, torch.int64)
    with pytest.raises(GlifError, match="labels 0 to 10"):
        run(model, [fixed(4)], [(torch.randn(2, 1, 8, 8), torch.tensor([0, 10]))])
    model.head[0].register_forward_hook(lambda m, i, o: o / 0)
    with pytest.raises(AnswerNo, match="batch 1 of 2"):
        run(model.train(), [fixed(4)], batches)
    model.head[0]._forward_hooks.clear()
    assert hooks(model) == 0
    assert model.training
