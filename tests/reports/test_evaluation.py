import pytest
import torch
from torch.nn import functional as F

from glifcli.errors import AnswerNo, GlifError
from glifcli.models.registry import create_model
from glifcli.reports.evaluation import evaluate
from tests.reports.conftest import CPU, hooks, lively


def run(model, batches, dtype=torch.float32, **settings):
    return evaluate(model, batches, device=CPU, dtype=dtype, **settings)


def test_accuracy_and_loss_against_a_direct_computation(smallnet, batches):
    e = run(smallnet, batches)
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    with torch.no_grad():
        logits = smallnet.eval()(images)
    order = logits.argsort(1, descending=True)
    assert e.images == 8
    assert e.top1 == (order[:, 0] == labels).sum().item() / 8
    assert e.top5 == sum(label in row[:5] for label, row in zip(labels, order, strict=True)) / 8
    assert e.loss == pytest.approx(F.cross_entropy(logits.double(), labels).item(), rel=1e-5)
    assert e.seconds > 0
    assert e.images_per_second == pytest.approx(8 / e.seconds)
    assert e.operations is not None
    assert [layer.name for layer in e.firing_rate.layers] == [name for name, _ in smallnet.neurons()]


def test_known_ranks(smallnet):
    # Labels taken from the ranking itself: two firsts, one third, one last.
    x = torch.randn(4, 1, 8, 8)
    with torch.no_grad():
        order = smallnet.eval()(x).argsort(1, descending=True)
    e = run(smallnet, [(x, torch.stack([order[0, 0], order[1, 0], order[2, 2], order[3, 9]]))])
    assert (e.top1, e.top5) == (0.5, 0.75)


def test_fewer_than_five_classes():
    model = create_model("smallnet", classes=3, time_steps=1, in_channels=1)
    assert run(model, [(torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 2, 0]))]).top5 == 1


def test_without_operations(smallnet, batches):
    assert run(smallnet, batches, operations=False).operations is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precisions(smallnet, batches, dtype):
    seen = []
    handle = smallnet.layers[0].conv.register_forward_hook(lambda m, i, o: seen.append(o.dtype))
    e, exact = run(smallnet, batches, dtype), run(smallnet, batches)
    handle.remove()
    assert seen[0] == dtype
    assert e.loss == pytest.approx(exact.loss, abs=0.2)
    assert e.firing_rate.network == pytest.approx(exact.firing_rate.network, abs=0.02)
    assert all(layer.binary_input for layer in e.operations.layers[1:-1])


def test_double_precision(smallnet, batches):
    exact = run(smallnet, batches)
    e = run(smallnet.double(), batches, torch.float64)
    assert e.loss == pytest.approx(exact.loss, rel=1e-3)


def test_event_frames(batches):
    torch.manual_seed(0)
    model = lively(create_model("smallnet", time_steps=2, in_channels=2))
    e = run(model, [(torch.poisson(torch.full((2, 2, 2, 8, 8), 0.3)), torch.tensor([0, 1]))])
    stem = e.operations.layers[0]
    assert (stem.macs, stem.whole_input) == (0, True)
    assert stem.acs == pytest.approx(2 * 32 * 64 * 18 * stem.input_mean)


def test_modes_and_hooks_are_as_before(smallnet, batches):
    smallnet.train()
    smallnet.stem.norm.eval()
    before = {name: value.clone() for name, value in smallnet.state_dict().items()}
    run(smallnet, batches)
    assert smallnet.training
    assert not smallnet.stem.norm.training
    assert smallnet.layers[0].norm.training
    assert hooks(smallnet) == 0
    assert all(torch.equal(value, before[name]) for name, value in smallnet.state_dict().items())


def test_modes_and_hooks_are_as_before_after_an_error(smallnet, batches):
    def broken():
        yield batches[0]
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        run(smallnet.train(), broken())
    assert smallnet.training
    assert hooks(smallnet) == 0
    assert not torch.is_inference_mode_enabled()


def test_one_size_of_input_after_another_leaves_nothing_behind(smallnet, batches):
    small = run(smallnet, batches).operations
    run(smallnet, [(torch.randn(1, 1, 16, 16), torch.tensor([0]))])
    assert run(smallnet, batches).operations == small


def test_nothing_to_evaluate(smallnet):
    for batches in ([], [(torch.randn(0, 1, 8, 8), torch.empty(0, dtype=torch.int64))]):
        with pytest.raises(GlifError, match="no image"):
            run(smallnet, batches)


def test_logits_that_are_not_finite_are_no_accuracy(smallnet, batches):
    poisoned = (torch.full((2, 1, 8, 8), 1.0), torch.tensor([0, 1]))
    smallnet.head[0].register_forward_hook(lambda m, i, o: o / 0 if o.shape[1] == 2 else o)
    with pytest.raises(AnswerNo, match="batch 3 of 3"):
        run(smallnet, [*batches, poisoned])


def test_labels_of_another_data_set(smallnet):
    with pytest.raises(GlifError, match="labels 0 to 10"):
        run(smallnet, [(torch.randn(2, 1, 8, 8), torch.tensor([0, 10]))])


def test_a_dtype_that_is_none(smallnet, batches):
    with pytest.raises(GlifError, match="int64"):
        run(smallnet, batches, torch.int64)
