"""The CUDA backend held against the reference, on a GPU or on the CPU by Triton's interpreter."""

from dataclasses import dataclass

import torch
from torch import Tensor

from glifcli.ops import Constants, glif_sequence
from glifcli.ops.fused import Recurrence

Grads = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    """A sequence of random currents, its constants and its form; shape [B, C, *space]."""

    steps: int
    shape: tuple[int, ...]
    channels_last: bool = False
    dtype: torch.dtype = torch.float32
    branches: int = 1
    repeats: bool = False
    timed: bool = False
    state: bool = False
    keep: bool = False
    surrogate: str = "rectangle"


def arranged(x: Tensor, channels_last: bool) -> Tensor:
    """x [T, B, C, *space] with its channels innermost or its space."""
    if not channels_last:
        return x.contiguous()
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


def inputs_of(case: Case, device: str) -> dict[str, Tensor]:
    """Leaves that take gradients, by name: a current for each branch, drive, steady, and the state."""
    torch.manual_seed(0)
    channels = case.shape[1]
    given = {}
    for branch in range(case.branches):
        y = torch.randn(1 if case.repeats else case.steps, *case.shape) + 0.2
        given[f"y{branch + 1}"] = arranged(y.to(device, case.dtype), case.channels_last)
    drive = torch.rand(1 + case.branches, case.steps, channels) * 0.8 + 0.1
    drive[0] *= 0.2
    steady = torch.rand(4, case.steps if case.timed else 1, channels) * 0.8 + 0.1
    given |= {"drive": drive.to(device), "steady": steady.to(device)}
    if case.state:
        given |= {"membrane": torch.randn(case.shape).to(device), "last": torch.rand(case.shape).to(device)}
    return {name: value.requires_grad_() for name, value in given.items()}


def reference(case: Case, given: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """(spikes,) or (spikes, membrane, last spike) by the reference, from the sum of the branches."""
    leak, *gains = given["drive"]
    broadcast = (case.steps, 1, -1, *[1] * (len(case.shape) - 2))
    ys = [given[f"y{branch + 1}"].float().expand(case.steps, *case.shape) for branch in range(case.branches)]
    current = sum(gain.view(broadcast) * y for gain, y in zip(gains, ys, strict=True))
    decay, reset_gate, reset_sub, threshold = given["steady"].expand(-1, case.steps, -1)
    constants = Constants(decay, leak, torch.ones_like(leak), reset_gate, reset_sub, threshold)
    state = (given["membrane"], given["last"]) if case.state else None
    spikes, end = glif_sequence(current, constants, state, surrogate=case.surrogate, backend="reference")
    return (spikes.to(case.dtype), *end) if case.keep else (spikes.to(case.dtype),)


def fused(case: Case, given: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """The same by the kernels."""
    from glifcli.ops.cuda import backend

    ys = [given[f"y{branch + 1}"] for branch in range(case.branches)]
    state = given.get("membrane"), given.get("last")
    return Recurrence.apply(backend, case.surrogate, case.keep, given["drive"], given["steady"], *state, *ys)


def gradients(outputs: tuple[Tensor, ...], given: dict[str, Tensor]) -> Grads:
    """The gradients of a random sum of the outputs by everything that was given."""
    torch.manual_seed(1)
    loss = sum((x.float() * torch.randn(x.shape).to(x.device)).sum() for x in outputs)
    return dict(zip(given, torch.autograd.grad(loss, list(given.values())), strict=True))


def check_recurrence(case: Case, device: str = "cpu") -> None:
    """Spikes and state are the reference's to the last bit, gradients but for rounding."""
    given = inputs_of(case, device)
    wanted, got = reference(case, given), fused(case, given)
    assert len(got) == len(wanted) == (3 if case.keep else 1)
    for mine, other in zip(got, wanted, strict=True):
        assert torch.equal(mine, other), f"{(mine != other).sum()} of {other.numel()} differ"
    assert got[0].dtype == case.dtype
    if wanted[0].numel() > 100:
        assert 0.05 < wanted[0].mean() < 0.95
    if wanted[0].numel():
        assert got[0].stride() == arranged(got[0], case.channels_last).stride()
    wanted_grads, got_grads = gradients(wanted, given), gradients(got, given)
    for name, want in wanted_grads.items():
        have = got_grads[name]
        assert have.dtype == want.dtype == given[name].dtype
        # A gradient in half the width is rounded to it.
        tolerance = 1e-4 if want.dtype == torch.float32 else 1e-2
        error = (have.double() - want.double()).abs().max().item() if want.numel() else 0.0
        scale = want.abs().max().item() if want.numel() else 1.0
        assert error <= tolerance * scale, f"{name}: {error} of {scale}"
        assert scale > 0 or not wanted[0].numel(), name


def check_edges(device: str = "cpu") -> None:
    """At the threshold there is no spike, at half a unit from it no gradient of the rectangle."""
    from glifcli.ops.cuda import backend

    y = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0], device=device).view(1, 5, 1).requires_grad_()
    drive = torch.tensor([0.0, 1.0], device=device).view(2, 1, 1)
    steady = torch.tensor([1.0, 1.0, 0.0, 0.5], device=device).view(4, 1, 1)
    (spikes,) = Recurrence.apply(backend, "rectangle", False, drive, steady, None, None, y)
    (grad,) = torch.autograd.grad(spikes.sum(), y)
    assert spikes.flatten().tolist() == [0, 0, 0, 1, 1]
    assert grad.flatten().tolist() == [0, 1, 1, 1, 0]


def check_sums_repeat(device: str = "cpu") -> None:
    """The same gradients to the last bit each time, though several programs add to them."""
    from glifcli.ops.cuda import backend

    case = Case(1, (16, 4, 16, 16))
    given = inputs_of(case, device)
    layout = backend.arranged(given["y1"])[1]
    assert backend.tiling_of(layout, 8, backend.SUMMING_PROGRAMS).programs[1] > 1
    first, second = (gradients(fused(case, given), given) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in given)


def check_moments(
    shape: tuple[int, ...], channels_last: bool, dtype: torch.dtype, mean: float, device: str = "cpu"
) -> None:
    """Mean and variance by channel are those taken in float64, however far the mean is from 0."""
    from glifcli.ops.cuda import backend

    torch.manual_seed(0)
    spread = torch.linspace(0.5, 2, shape[2]).view(-1, *[1] * (len(shape) - 3))
    y = arranged((torch.randn(shape) * spread + mean).to(device, dtype), channels_last)
    got_mean, got_variance = backend.moments(y)
    dims = [dim for dim in range(len(shape)) if dim != 2]
    variance, average = torch.var_mean(y.double(), dims, correction=0)
    assert got_mean.dtype == got_variance.dtype == torch.float32
    torch.testing.assert_close(got_mean.double(), average, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(got_variance.double(), variance, rtol=1e-5, atol=1e-6)


def check_empty_moments() -> None:
    """No element has no mean: NaN, as torch says."""
    from glifcli.ops.cuda import backend

    mean, variance = backend.moments(torch.zeros(2, 0, 3, 4, 4))
    assert mean.shape == variance.shape == (3,)
    assert mean.isnan().all()
    assert variance.isnan().all()


def check_add_affine(shape: tuple[int, ...], of_grad: str, of_y: str, dtype: torch.dtype, device: str = "cpu") -> None:
    """`grad` itself gets y * scale + shift, whatever the layouts of the two: "channels", "space" or "sparse"."""
    from glifcli.ops.cuda import backend

    def random(layout: str) -> Tensor:
        if layout == "sparse":
            return torch.randn(*shape[:-1], 2 * shape[-1]).to(device, dtype)[..., ::2]
        return arranged(torch.randn(shape).to(device, dtype), layout == "channels")

    torch.manual_seed(0)
    grad, y = random(of_grad), random(of_y)
    scale, shift = torch.randn(2, shape[2]).to(device)
    by_channel = (-1, *[1] * (len(shape) - 3))
    wanted = grad.double() + y.double() * scale.double().view(by_channel) + shift.double().view(by_channel)
    backend.add_affine(grad, y, scale, shift)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(grad.double(), wanted, rtol=tolerance, atol=tolerance)
