import pytest
import torch

from glifcli.errors import ModelError
from glifcli.models.folding import folded
from glifcli.models.registry import create_model
from glifcli.models.time_steps import CONDUCTANCES, is_prefix, passes, with_time_steps
from glifcli.neurons.config import NeuronConfig

TRAINED = 4


def network(neuron="glif", **settings):
    """A small network with parameters away from where they begin."""
    torch.manual_seed(0)
    config = NeuronConfig(name=neuron, **settings)
    model = create_model("smallnet", width=0.25, time_steps=TRAINED, neuron=config, in_channels=1).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def conductance(model):
    return torch.sigmoid(model.stem.neuron.conductance.detach().double())


@pytest.mark.parametrize("mode", CONDUCTANCES)
@pytest.mark.parametrize("settings", [{}, {"time_wise": True}, {"share": "layer"}, {"neuron": "glif-f"}])
def test_the_trained_number_changes_no_bit(mode, settings):
    model = network(**settings)
    other = with_time_steps(model, TRAINED, mode)
    assert other is not model
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


@pytest.mark.parametrize("mode", CONDUCTANCES)
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"time_wise": True, "mode": "hard"},
        {"time_wise": True, "share": "layer"},
        {"neuron": "glif-f", "share": "layer"},
        {"neuron": "lif"},
        {"neuron": "plif", "reset": "soft"},
    ],
)
def test_every_neuron_runs_at_every_number(mode, steps, settings):
    model = network(**settings)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    other = with_time_steps(model, steps, mode)
    x = torch.randn(2, 1, 8, 8)
    assert other.sequence(x).shape == (steps, 2, 10)
    assert folded(other).sequence(x).shape == (steps, 2, 10)
    assert all(neuron.time_steps == steps for _, neuron in other.neurons())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for (_, a), (_, b) in zip(model.neurons(), other.neurons(), strict=True):
        assert (b.surrogate, b.backend) == (a.surrogate, a.backend)
        # Drift is from where training began, which other time steps do not change.
        assert b.initial_values() == a.initial_values()
        assert [p.requires_grad for p in b.parameters()] == [p.requires_grad for p in a.parameters()]
        for name, parameter in a.named_parameters():
            remade = b.get_parameter(name)
            assert remade.shape[:1] == (steps,) if name in a.timed() else remade.equal(parameter)


def test_what_goes_by_time_step():
    membrane = {"tau", "threshold", "leak", "reset"}
    assert network().stem.neuron.timed() == ("conductance",)
    assert set(network(time_wise=True).stem.neuron.timed()) == membrane | {"conductance"}
    assert network("glif-f").stem.neuron.timed() == ("conductance",)
    assert network("lif").stem.neuron.timed() == network("plif").stem.neuron.timed() == ()
    for neuron in (network(time_wise=True), network("glif-f"), network("plif")):
        for name, parameter in neuron.stem.neuron.named_parameters():
            assert (parameter.shape[:1] == (TRAINED,)) == (name in neuron.stem.neuron.timed())


def test_first_and_hold():
    model = network()
    logits = model.stem.neuron.conductance
    for mode in ("first", "hold"):
        assert torch.equal(with_time_steps(model, 2, mode).stem.neuron.conductance, logits[:2])
    held = with_time_steps(model, 6, "hold").stem.neuron.conductance
    assert torch.equal(held[:4], logits)
    assert torch.equal(held[4], logits[3])
    assert torch.equal(held[5], logits[3])


def test_mean():
    model = network()
    mean = conductance(model).mean(0)
    for steps in (1, 3, 6):
        other = conductance(with_time_steps(model, steps, "mean"))
        assert other.shape[0] == steps
        torch.testing.assert_close(other, mean.expand(steps, -1), rtol=1e-6, atol=1e-7)


def test_linear():
    model = network()
    trained, logits = conductance(model), model.stem.neuron.conductance
    # Seven steps over four: every second is a trained one, those between are the means of their neighbours.
    seven = with_time_steps(model, 7, "linear")
    assert torch.equal(seven.stem.neuron.conductance[::2], logits)
    torch.testing.assert_close(conductance(seven)[1::2], (trained[:-1] + trained[1:]) / 2, rtol=1e-6, atol=1e-7)
    two = with_time_steps(model, 2, "linear").stem.neuron.conductance
    assert torch.equal(two, logits[[0, 3]])
    middle = conductance(with_time_steps(model, 3, "linear"))[1]
    torch.testing.assert_close(middle, (trained[1] + trained[2]) / 2, rtol=1e-6, atol=1e-7)
    assert torch.equal(with_time_steps(model, 1, "linear").stem.neuron.conductance, logits[:1])
    one = with_time_steps(with_time_steps(model, 1), 3, "linear").stem.neuron.conductance
    assert torch.equal(one, logits[:1].expand(3, -1))


@pytest.mark.parametrize("mode", ["linear", "mean"])
@pytest.mark.parametrize("logit", [-1e4, -80.0, 80.0, 1e4])
def test_saturated_values_stay_finite_and_saturated(mode, logit):
    model = network()
    with torch.no_grad():
        model.stem.neuron.conductance.fill_(logit)
    other = with_time_steps(model, 6, mode).stem.neuron.conductance
    assert other.isfinite().all()
    assert torch.equal(torch.sigmoid(other).round(), torch.full_like(other, float(logit > 0)))


def test_refusals():
    model = network()
    with pytest.raises(ModelError, match=r"`6` time steps.*`4`") as refused:
        with_time_steps(model, 6, "first")
    assert "--conductance hold" in refused.value.hint
    with pytest.raises(ModelError, match="`0` time steps"):
        with_time_steps(model, 0)
    with pytest.raises(ModelError, match="`means`") as refused:
        with_time_steps(model, 2, "means")
    assert "`mean`" in refused.value.hint


def test_prefixes():
    model = network(time_wise=True)
    at = {mode: {n: with_time_steps(model, n, mode) for n in (1, 2, 4, 6)} for mode in ("hold", "linear", "mean")}
    assert all(is_prefix(at["hold"][a], at["hold"][b]) for a in (1, 2, 4, 6) for b in (1, 2, 4, 6) if a <= b)
    assert not is_prefix(at["hold"][4], at["hold"][2])
    assert is_prefix(at["mean"][2], at["mean"][6])
    assert not is_prefix(at["mean"][4], at["mean"][6])
    assert not is_prefix(at["linear"][2], at["linear"][4])
    # A single step is the first of any.
    assert is_prefix(at["linear"][1], at["linear"][6])
    lif = network("lif")
    assert is_prefix(with_time_steps(lif, 2, "mean"), with_time_steps(lif, 5, "mean"))


@pytest.mark.parametrize(
    ("mode", "groups"),
    [("hold", [[6, 4, 2, 1]]), ("mean", [[6, 2, 1], [4]]), ("linear", [[6, 1], [4], [2]])],
)
def test_as_few_passes_as_it_takes(mode, groups):
    model = network()
    found = passes(with_time_steps(model, steps, mode) for steps in (2, 1, 6, 4))
    # A single step goes with any; it is put with the longest.
    assert [[each.time_steps for each in group] for group in found] == groups


@pytest.mark.parametrize("backend", ["reference", "auto"])
def test_a_prefix_has_the_logits_of_the_first_steps(backend):
    torch.manual_seed(0)
    model = create_model("smallnet", width=0.25, time_steps=TRAINED, in_channels=1, backend=backend).eval()
    x = torch.randn(3, 1, 8, 8)
    long = with_time_steps(model, 6).sequence(x)
    for steps in (1, 2, 4):
        torch.testing.assert_close(with_time_steps(model, steps).sequence(x), long[:steps])
