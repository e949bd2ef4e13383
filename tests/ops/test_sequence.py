"""The operator by hand-worked traces, in pieces, in every dtype, rank and layout."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from glifcli.errors import ModelError
from glifcli.ops import SURROGATES, Constants, glif_sequence


def constants(channels: int, time_steps: int = 0, **given: float) -> Constants:
    values = {"decay": 1.0, "leak": 0.0, "gain": 1.0, "reset_gate": 0.0, "reset_sub": 0.0, "threshold": 1.0, **given}
    shape = (time_steps, channels) if time_steps else (channels,)
    return Constants(**{name: torch.full(shape, value, dtype=torch.float64) for name, value in values.items()})


def random_constants(channels: int, time_steps: int) -> Constants:
    names = ("decay", "leak", "gain", "reset_gate", "reset_sub", "threshold")
    return Constants(**{name: 0.1 + 0.8 * torch.rand(time_steps, channels, dtype=torch.float64) for name in names})


def currents(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)


def test_integrates_and_resets_hard() -> None:
    # u: 0.6, 1.2 (spike), then 1.2 * (1 - 1) + 0.6 = 0.6, 1.2 (spike)
    spikes, (membrane, last) = glif_sequence(currents(0.6, 0.6, 0.6, 0.6), constants(1, reset_gate=1.0))
    assert spikes.flatten().tolist() == [0, 1, 0, 1]
    assert membrane.item() == pytest.approx(1.2)
    assert last.item() == 1


def test_soft_reset_subtracts_one_step_late() -> None:
    # u: 1.5 (spike), 1.5 + 0.25 - 1 = 0.75, 1.0 (at the threshold: no spike), 1.25 (spike)
    spikes, (membrane, _) = glif_sequence(currents(1.5, 0.25, 0.25, 0.25), constants(1, reset_sub=1.0))
    assert spikes.flatten().tolist() == [1, 0, 0, 1]
    assert membrane.item() == 1.25


def test_leaks_and_gain() -> None:
    # u: 2 * 1 - 0.5 = 1.5 (no reset), 0.5 * 1.5 + 2 * 0 - 0.5 = 0.25, 0.125 + 2 - 0.5 = 1.625
    given = constants(1, decay=0.5, leak=0.5, gain=2.0)
    spikes, (membrane, _) = glif_sequence(currents(1.0, 0.0, 1.0), given)
    assert spikes.flatten().tolist() == [1, 0, 1]
    assert membrane.item() == 1.625


def test_equality_with_the_threshold_is_no_spike() -> None:
    spikes, _ = glif_sequence(currents(1.0), constants(1))
    assert spikes.item() == 0


def test_constants_may_change_with_time() -> None:
    given = constants(1, time_steps=3, reset_gate=1.0)
    given = replace(given, gain=torch.tensor([[1.0], [3.0], [0.0]], dtype=torch.float64))
    spikes, (membrane, _) = glif_sequence(currents(0.5, 0.5, 0.5), given)
    assert spikes.flatten().tolist() == [0, 1, 0]  # u: 0.5, 2.0, 0
    assert membrane.item() == 0


@pytest.mark.parametrize(("backend", "dtype"), [("reference", torch.float64), ("numba", torch.float32)])
@pytest.mark.parametrize("cut", range(6))
def test_a_sequence_cut_anywhere_gives_the_spikes_of_the_whole(backend: str, dtype: torch.dtype, cut: int) -> None:
    torch.manual_seed(cut)
    x = torch.randn(5, 2, 3, 4, 4, dtype=dtype)
    k = random_constants(3, 5)
    whole, end = glif_sequence(x, k, backend=backend)
    first, state = glif_sequence(x[:cut], k.steps(0, cut), backend=backend)
    second, cut_end = glif_sequence(x[cut:], k.steps(cut, 5), state, backend=backend)
    assert 0 < whole.mean() < 1
    assert torch.equal(torch.cat([first, second]), whole)
    torch.testing.assert_close(cut_end[0], end[0], rtol=0, atol=0)
    assert torch.equal(cut_end[1], end[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("space", [(), (7,), (3, 5), (2, 3, 2)])
def test_shape_and_dtype_are_kept_and_the_recurrence_is_wide(dtype: torch.dtype, space: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 2, 3, *space).to(dtype)
    k = random_constants(3, 4)
    spikes, (membrane, last) = glif_sequence(x, k)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert (spikes.shape, spikes.dtype) == (x.shape, dtype)
    assert (membrane.dtype, last.dtype) == (wide, dtype)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(spikes.to(wide), glif_sequence(x.to(wide), k)[0])


@pytest.mark.parametrize("make", ["contiguous", "channels_last", "batch_first", "sliced", "expanded", "space_first"])
def test_every_memory_layout_gives_the_same_spikes_and_dense_ones_are_kept(make: str) -> None:
    torch.manual_seed(0)
    base = torch.randn(3, 2, 4, 5, 6)
    views = {
        "contiguous": base,
        "channels_last": base.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3),
        "batch_first": base.transpose(0, 1).contiguous().transpose(0, 1),
        "sliced": torch.cat([base, base], -1)[..., :6],
        "expanded": base[:1].expand(3, -1, -1, -1, -1),
        "space_first": base.permute(3, 4, 2, 0, 1).contiguous().permute(3, 4, 2, 0, 1),
    }
    x = views[make].detach().requires_grad_()
    k = random_constants(4, 3)
    spikes, _ = glif_sequence(x, k)
    plain = x.detach().contiguous().requires_grad_()
    expected, _ = glif_sequence(plain, k)
    assert torch.equal(spikes, expected)
    spikes.sum().backward()
    expected.sum().backward()
    assert plain.grad is not None
    assert plain.grad.abs().sum() > 0
    torch.testing.assert_close(x.grad, plain.grad)
    if make in ("contiguous", "channels_last", "batch_first", "space_first"):
        assert spikes.stride() == x.stride()


def test_empty_batch_and_empty_sequence() -> None:
    k = constants(3)
    assert glif_sequence(torch.zeros(4, 0, 3, 2, 2), k)[0].shape == (4, 0, 3, 2, 2)
    spikes, (membrane, last) = glif_sequence(torch.zeros(0, 2, 3, 5), k)
    assert spikes.shape == (0, 2, 3, 5)
    assert membrane.shape == last.shape == (2, 3, 5)
    assert not membrane.any()


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_surrogates_have_height_one_and_fall_off(surrogate: str) -> None:
    distance = torch.linspace(-3, 3, 601, dtype=torch.float64)
    bump = SURROGATES[surrogate](distance)
    assert bump[300].item() == pytest.approx(1)
    torch.testing.assert_close(bump, bump.flip(0))
    assert (bump[:301].diff() >= 0).all()
    assert bump[0] < 0.05


def test_rectangle_is_open_at_half() -> None:
    got = SURROGATES["rectangle"](torch.tensor([-0.5, -0.49, 0.0, 0.49, 0.5]))
    assert got.tolist() == [0, 1, 1, 1, 0]


def test_gradient_goes_through_the_reset() -> None:
    # Two steps, both within the surrogate's window: ds2/dx1 = decay (1 - gate s1) - decay u1 gate - sub = 0.5 (1 - 1)
    # - 0.5 * 1.2 * 1 - 0 = -0.6, as s1 is not detached; ds1/dx1 = 1.
    x = currents(1.2, 0.9).requires_grad_()
    spikes, _ = glif_sequence(x, constants(1, decay=0.5, reset_gate=1.0))
    spikes.sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == pytest.approx([1 - 0.6, 1.0])


@pytest.mark.parametrize(
    ("x", "channels", "words"),
    [
        (torch.zeros(4, 3), 3, ["2 dimensions", "[4, 3]"]),
        (torch.zeros(4, 2, 5), 3, ["`decay`", "[4, 3]", "5 channels"]),
        (torch.zeros(3, 2, 3), 3, ["[4, 3]", "3 time steps"]),
        (torch.zeros(4, 2, 3, dtype=torch.int64), 3, ["torch.int64"]),
    ],
)
def test_what_does_not_fit_is_named_with_both_numbers(x: Tensor, channels: int, words: list[str]) -> None:
    with pytest.raises(ModelError) as raised:
        glif_sequence(x, random_constants(channels, 4))
    assert all(word in raised.value.message for word in words), raised.value.message
    assert raised.value.hint


def test_a_state_of_another_shape_is_refused() -> None:
    state = (torch.zeros(2, 3), torch.zeros(2, 3))
    with pytest.raises(ModelError, match=r"membrane has shape \[2, 3\].*\[2, 4\]"):
        glif_sequence(torch.zeros(1, 2, 4), constants(4), state)


def test_unknown_backend_and_surrogate_name_the_nearest() -> None:
    x, k = torch.zeros(1, 1, 1), constants(1)
    with pytest.raises(ModelError) as raised:
        glif_sequence(x, k, backend="referense")
    assert "`reference`" in raised.value.hint
    with pytest.raises(ModelError) as raised:
        glif_sequence(x, k, surrogate="rectangel")
    assert "`rectangle`" in raised.value.hint
