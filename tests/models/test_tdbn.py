"""tdBN by the published numbers, and the shortcut for still images."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from glifcli.models.tdbn import TdBN

FILE = Path(__file__).parents[1] / "reference" / "neuron.safetensors"
with safe_open(FILE, "pt") as opened:
    CASES = {k: v for k, v in json.loads(opened.metadata()["cases"]).items() if k.startswith("tdbn")}
    TENSORS = {key: opened.get_tensor(key) for key in opened.keys() if key.startswith("tdbn")}  # noqa: SIM118


@pytest.mark.parametrize("case", CASES)
def test_published_outputs_and_running_statistics(case: str) -> None:
    x = TENSORS[f"{case}.input"]
    norm = TdBN(x.shape[1], CASES[case]["alpha"]).double()
    with torch.no_grad():
        norm.weight.copy_(TENSORS[f"{case}.weight"])
        norm.bias.copy_(TENSORS[f"{case}.bias"])
    torch.testing.assert_close(norm(x), TENSORS[f"{case}.output_train"], rtol=0, atol=1e-10)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, TENSORS[f"{case}.running_mean"], rtol=0, atol=1e-10)
    torch.testing.assert_close(norm.running_var, TENSORS[f"{case}.running_var"], rtol=0, atol=1e-10)
    torch.testing.assert_close(norm.eval()(x), TENSORS[f"{case}.output_eval"], rtol=0, atol=1e-10)


def test_there_are_cases() -> None:
    assert len(CASES) == 2


@pytest.mark.parametrize("repeats", [1, 2, 5])
@pytest.mark.parametrize("batch", [1, 3])
def test_repeats_equal_the_repeated_batch(repeats: int, batch: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(batch, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    once, repeated = TdBN(4).double(), TdBN(4).double()
    for _ in range(3):
        weight = torch.randn(repeats, *x.shape, dtype=torch.float64)
        a = once(x, repeats=repeats).unsqueeze(0).expand(repeats, *x.shape)
        b = repeated(y.repeat(repeats, 1, 1, 1)).unflatten(0, (repeats, batch))
        torch.testing.assert_close(a, b)
        (a * weight).sum().backward()
        (b * weight).sum().backward()
    assert y.grad is not None
    torch.testing.assert_close(x.grad, y.grad)
    torch.testing.assert_close(once.weight.grad, repeated.weight.grad)
    for name, value in repeated.state_dict().items():
        torch.testing.assert_close(once.state_dict()[name], value, msg=name)
