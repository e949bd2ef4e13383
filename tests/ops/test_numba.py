"""The fused CPU backend, held against the reference: spikes to the last bit, gradients within rounding."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from glifcli.errors import ModelError
from glifcli.neurons.base import Neuron
from glifcli.neurons.glif import GLIF, GLIFf
from glifcli.ops import Branch, Constants, Current, batch_moments, glif_sequence, glif_spikes
from glifcli.ops.cpu import backend, kernels
from glifcli.ops.layout import layout_of

NAMES = ("decay", "leak", "gain", "reset_gate", "reset_sub", "threshold")
REFERENCE = Path(__file__).parents[1] / "reference" / "neuron.safetensors"
OURS = {"Vth": "threshold", "reVth": "reset", "conduct": "conductance"}


def random_constants(channels: int, time_steps: int, timed: bool) -> Constants:
    def values(name: str) -> Tensor:
        shape = (time_steps, channels) if timed or name == "gain" else (channels,)
        return (0.1 + 0.8 * torch.rand(shape)).requires_grad_()

    return Constants(**{name: values(name) for name in NAMES})


def channels_last(x: Tensor) -> Tensor:
    last = (0, 1, *range(3, x.dim()), 2)
    back = (0, 1, x.dim() - 1, *range(2, x.dim() - 1))
    return x.permute(last).contiguous().permute(back)


def outcome(name: str, x: Tensor, k: Constants, state: tuple[Tensor, Tensor] | None, surrogate: str) -> list[Tensor]:
    """Spikes, end state where one is given, and all gradients of a random loss."""
    leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    own = Constants(**{key: value.detach().clone().requires_grad_() for key, value in k.named().items()})
    before = None if state is None else (state[0].clone().requires_grad_(), state[1].clone().requires_grad_())
    generator = torch.Generator().manual_seed(1)
    if before is None:
        values = [glif_spikes(leaf, own, surrogate=surrogate, backend=name)]
    else:
        spikes, end = glif_sequence(leaf, own, before, surrogate=surrogate, backend=name)
        values = [spikes, *end]
    loss = sum((value.float() * torch.randn(value.shape, generator=generator)).sum() for value in values)
    assert isinstance(loss, Tensor)
    loss.backward()
    leaves = [leaf, *own.named().values(), *(before or ())]
    return [*values, *(one.grad for one in leaves if one.grad is not None)]


def steps_of(x: Tensor) -> list[int]:
    """The strides that matter: those of dimensions longer than 1."""
    return [stride for stride, size in zip(x.stride(), x.shape, strict=True) if size > 1]


def hold(x: Tensor, k: Constants, state: tuple[Tensor, Tensor] | None = None, surrogate: str = "rectangle") -> None:
    """Holds the backend against the reference on that input."""
    expected = outcome("reference", x, k, state, surrogate)
    got = outcome("numba", x, k, state, surrogate)
    values = 1 if state is None else 3
    assert len(got) == len(expected) == values + 1 + 6 + (0 if state is None else 2)
    for one, other in zip(got[:values], expected[:values], strict=True):
        assert torch.equal(one, other)
        assert one.dtype == other.dtype
    assert steps_of(got[0]) == steps_of(expected[0])
    tolerance = 1e-4 if x.dtype == torch.float32 else 1e-2
    for one, other in zip(got[values:], expected[values:], strict=True):
        assert one.dtype == other.dtype
        if other.numel():
            scale = other.abs().max().item() + 1e-6
            torch.testing.assert_close(one, other, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("time_steps", [1, 2, 3, 5, 6, 7, 8, 9, 64])
def test_any_number_of_time_steps(time_steps: int) -> None:
    torch.manual_seed(time_steps)
    x = torch.randn(time_steps, 2, 19, 5, 7)
    hold(x, random_constants(19, time_steps, timed=False))


SHAPES = [(2, 1), (5, 3), (3, 129), (2, 3, 1), (2, 1, 7, 5), (2, 129, 7, 5), (3, 3, 33), (1, 40, 2, 3, 4), (0, 3, 4, 4)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("lay", [Tensor.contiguous, channels_last])
def test_odd_shapes(shape: tuple[int, ...], dtype: torch.dtype, lay: object) -> None:
    torch.manual_seed(0)
    x = lay(torch.randn(4, *shape).to(dtype))  # type: ignore[operator]
    hold(x, random_constants(shape[1], 4, timed=False))


CASES_OF_STATES = [("rectangle", 4), ("triangle", 4), ("arctan", 4), ("sigmoid", 4), ("rectangle", 11)]


@pytest.mark.parametrize(("surrogate", "time_steps"), CASES_OF_STATES)
def test_states_in_and_out_and_constants_of_every_step(surrogate: str, time_steps: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(time_steps, 3, 18, 4, 5)
    state = torch.randn(3, 18, 4, 5), (torch.rand(3, 18, 4, 5) > 0.5).float()
    hold(x, random_constants(18, time_steps, timed=True), state, surrogate)


@pytest.mark.parametrize("make", ["batch_first", "sliced", "expanded", "every_other_channel"])
def test_layouts_that_must_be_copied(make: str) -> None:
    torch.manual_seed(0)
    base = torch.randn(4, 3, 18, 4, 5)
    views = {
        "batch_first": base.transpose(0, 1).contiguous().transpose(0, 1),
        "sliced": torch.cat([base, base], -1)[..., :5],
        "expanded": base[:1].expand(4, -1, -1, -1, -1),
        "every_other_channel": base.repeat(1, 1, 2, 1, 1)[:, :, ::2],
    }
    x = views[make]
    assert layout_of(x) is None
    spikes = glif_spikes(x, random_constants(18, 4, timed=False), backend="numba")
    assert spikes.stride() == torch.empty_like(x).stride()
    hold(x, random_constants(18, 4, timed=False))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_ten_million_neuron_steps_to_the_last_bit(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = channels_last(torch.randn(4, 20, 125, 32, 32).to(dtype))
    assert x.numel() > 1e7
    neuron = GLIF(125, 4)
    with torch.no_grad():
        for parameter in neuron.parameters():
            parameter.normal_()
        neuron.backend = "numba"
        spikes = neuron(x)
        neuron.backend = "reference"
        assert torch.equal(spikes, neuron(x))
    assert 0.05 < spikes.float().mean() < 0.95


with safe_open(REFERENCE, "pt") as opened:
    CASES = {name: case for name, case in json.loads(opened.metadata()["cases"]).items() if name[:4] != "tdbn"}
    TENSORS = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118


@pytest.mark.parametrize("name", CASES)
def test_the_published_numbers_in_float32(name: str) -> None:
    x = TENSORS[f"{name}.input"].float().requires_grad_()
    share = "layer" if "layerwise" in name else "channel"
    if name.startswith("coarse"):
        neuron: Neuron = GLIFf(x.shape[2], x.shape[0], share=share, backend="numba")
    else:
        mode, timed = "hard" if "hard" in name else "soft", "timewise" in name
        neuron = GLIF(
            x.shape[2], x.shape[0], share=share, time_wise=timed, mode=mode, frozen_gates="frozen" in name,
            backend="numba",
        )  # fmt: skip
    neuron.load_state_dict({OURS.get(p, p): TENSORS[f"{name}.param.{p}"].float() for p in CASES[name]["params"]})
    threshold = neuron.values()["threshold"].double()
    distance = TENSORS[f"{name}.membrane"] - threshold.view(-1, 1, threshold.shape[-1], 1, 1)
    assert distance.abs().min() > 1e-5, "float32 could round a spike of this case to either side"
    spikes = neuron(x)
    assert torch.equal(spikes.double(), TENSORS[f"{name}.spikes"])
    (spikes * TENSORS[f"{name}.loss_weight"].float()).sum().backward()
    expected = {OURS.get(p, p): TENSORS[f"{name}.grad.{p}"] for p in CASES[name]["grads"]}
    got = {p: v.grad for p, v in neuron.named_parameters() if v.grad is not None}
    for one, other in [(x.grad, TENSORS[f"{name}.grad_input"]), *((got[p], expected[p]) for p in expected)]:
        assert one is not None
        torch.testing.assert_close(one.double(), other, rtol=0, atol=1e-4 * other.abs().max().item())


def test_threads_do_not_change_a_bit() -> None:
    torch.manual_seed(0)
    x, k = torch.randn(4, 16, 40, 16, 16), random_constants(40, 4, timed=False)
    before = torch.get_num_threads()
    outcomes = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            outcomes.append([*outcome("numba", x, k, None, "rectangle"), *backend.moments(x)])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*outcomes, strict=True))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_numbers_that_are_not_finite_go_the_way_of_the_reference(value: float, dtype: torch.dtype) -> None:
    x = torch.tensor([0.2, value, 0.4, 1.0], dtype=dtype).view(4, 1, 1).repeat(1, 1, 17)
    grads = []
    for name in ("reference", "numba"):
        leaf = x.clone().requires_grad_()
        spikes = glif_spikes(leaf, random_constants_of_one(), surrogate="arctan", backend=name)
        spikes.sum().backward()
        assert leaf.grad is not None
        grads.append((spikes, leaf.grad.float()))
    assert torch.equal(grads[0][0], grads[1][0])
    torch.testing.assert_close(grads[1][1], grads[0][1], rtol=1e-2, atol=1e-3, equal_nan=True)


def random_constants_of_one() -> Constants:
    values = dict(zip(NAMES, (0.5, 0.1, 1.0, 0.5, 0.3, 0.5), strict=True))
    return Constants(**{name: torch.full((17,), value) for name, value in values.items()})


@pytest.mark.parametrize("lay", [Tensor.contiguous, channels_last])
@pytest.mark.parametrize("shape", [(2, 3, 19, 7, 5), (1, 5, 130), (3, 4, 9, 33, 1)], ids=str)
def test_moments(shape: tuple[int, ...], lay: object) -> None:
    torch.manual_seed(0)
    y = lay(1000 + torch.randn(shape))  # type: ignore[operator]  # a mean far from 0 costs no precision
    mean, variance = backend.moments(y)
    exact = y.double().transpose(0, 2).flatten(1)
    torch.testing.assert_close(mean.double(), exact.mean(1), rtol=1e-6, atol=0)
    torch.testing.assert_close(variance.double(), exact.var(1, correction=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("lay", [Tensor.contiguous, channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_affine_is_added_in_place(dtype: torch.dtype, lay: object) -> None:
    torch.manual_seed(0)
    grad, y = (lay(torch.randn(2, 3, 19, 4, 5).to(dtype)) for _ in range(2))  # type: ignore[operator]
    scale, shift = torch.randn(19), torch.randn(19)
    expected = grad.double() + y.double() * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)
    address = grad.data_ptr()
    backend.add_affine(grad, y, scale, shift)
    assert grad.data_ptr() == address
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(grad.double(), expected, rtol=tolerance, atol=tolerance)


def test_a_default_dtype_or_device_changes_nothing() -> None:
    torch.manual_seed(0)
    x, k = torch.randn(3, 2, 18, 4), random_constants(18, 3, timed=False)
    state = torch.randn(2, 18, 4), (torch.rand(2, 18, 4) > 0.5).float()
    expected = outcome("numba", x, k, state, "rectangle")
    torch.set_default_dtype(torch.float64)
    try:
        spikes, end = glif_sequence(x, k, state, backend="numba")
        assert torch.equal(spikes, expected[0])
        assert torch.equal(end[0], expected[1])
        glif_spikes(x.requires_grad_(), k, backend="numba").sum().backward()
        assert x.grad is not None
        assert x.grad.dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)
    with torch.device("meta"):
        assert torch.equal(glif_sequence(x, k, state, backend="numba")[0], expected[0])


def test_the_state_gets_its_gradient_through_no_step_at_all() -> None:
    for shape in ((0, 2, 3, 4), (3, 0, 3, 4)):
        state = torch.randn(shape[1:]).requires_grad_(), torch.zeros(shape[1:])
        k = random_constants(3, shape[0], timed=False)
        _, (membrane, _) = glif_sequence(torch.zeros(shape), k, state, backend="numba")
        membrane.sum().backward()
        assert state[0].grad is not None
        assert torch.equal(state[0].grad, torch.ones(shape[1:]))


def test_a_second_derivative_is_refused_not_wrong() -> None:
    x = torch.randn(2, 3, 4).requires_grad_()
    spikes = glif_spikes(x, random_constants(4, 2, timed=False), surrogate="arctan", backend="numba")
    (grad,) = torch.autograd.grad(spikes.sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        grad.square().sum().backward()


def test_a_gradient_that_someone_else_holds_is_left_alone() -> None:
    y = torch.randn(2, 3, 4, 5).requires_grad_()
    handed_on, mean, variance = batch_moments(y, "numba")
    grad = torch.ones(2, 3, 4, 5)
    torch.autograd.backward([handed_on, mean], [grad, torch.ones(4)])
    assert torch.equal(grad, torch.ones(2, 3, 4, 5))
    torch.testing.assert_close(y.grad, torch.full_like(y, 1 + 1 / 30))
    z = y.detach().clone().requires_grad_()
    handed_on, mean, variance = batch_moments(z, "numba")
    (handed_on.sum() + variance.sum()).backward()
    expected = 1 + 2 * (z - z.mean((0, 1, 3), keepdim=True)) / 30
    torch.testing.assert_close(z.grad, expected.detach())


def test_a_negated_view() -> None:
    x = torch.randn(2, 3, 18)
    k = random_constants(18, 2, timed=False)
    negated = torch._neg_view(x)
    assert torch.equal(glif_spikes(negated, k, backend="numba"), glif_spikes(-x, k, backend="reference"))


def branch(shape: tuple[int, ...], channels: int = 4, dtype: torch.dtype = torch.float32) -> Branch:
    return Branch(torch.zeros(shape, dtype=dtype), torch.ones(channels), torch.zeros(channels))


@pytest.mark.parametrize(
    ("branches", "words"),
    [
        ((), "0 branches"),
        ((branch((2, 3, 4)),) * 3, "3 branches"),
        ((branch((2, 3, 4)), branch((1, 3, 4))), r"\[1, 3, 4\]"),
        ((branch((3, 3, 4)),), "2 time steps"),
        ((branch((2, 3, 4)), branch((2, 3, 4), dtype=torch.bfloat16)), "bfloat16"),
        ((branch((2, 3, 4), channels=5),), r"\[5\]"),
    ],
)
def test_branches_that_do_not_go_together(branches: tuple[Branch, ...], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        Current(branches, 2)


def test_kernels_are_kept_by_the_instructions_they_call() -> None:
    kept_by = [kernels.compile_affine(True, cache=False), kernels.compile_moments(True, cache=False)]
    kept_by += [kernels.compile_forward(2, 1, True, False, False, False, cache=False)]
    kept_by += [kernels.compile_backward(2, 1, True, False, False, False, "rectangle", cache=False)]
    for kernel in kept_by:
        closure = kernel.py_func.__closure__  # type: ignore[attr-defined]
        assert kernels.STAMP in [cell.cell_contents for cell in closure]
