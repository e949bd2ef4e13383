"""What is told of the machine, and which devices and precisions are taken."""

import json
import subprocess

import pytest
import torch

from glifcli import __version__, environment
from glifcli.device import DTYPES, choose_device, choose_precision, deterministic, multiplies_bfloat16
from glifcli.errors import GlifError
from glifcli.ops import BACKENDS


def test_the_environment_is_ready_for_json() -> None:
    told = environment.environment()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["glif"] == __version__
    assert told["packages"]["torch"] == environment.version("torch")
    assert told["backend"] in told["backends"]
    assert told["backends"].keys() == set(BACKENDS)
    assert told["backends"]["numba"].startswith("runs: ")
    assert told["precision"] in DTYPES
    assert told["cpu_count"] >= 1
    assert told["cpu"]


def test_a_package_that_is_not_there() -> None:
    assert environment.version("no-such-package-anywhere") is None


@pytest.mark.parametrize("error", [FileNotFoundError("git"), subprocess.CalledProcessError(128, "git")])
def test_no_git_is_no_commit(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("subprocess.run", fail)
    assert environment.commit() is None


@pytest.mark.parametrize("name", ["banana", "", "cpu:x", "cuda:", "cpu:1", "cuda:99", "meta", "privateuseone"])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(GlifError) as caught:
        choose_device(name)
    assert f"`{name}`" in caught.value.message
    assert "`--device cpu`" in caught.value.hint


@pytest.mark.parametrize("name", ["cpu", "cpu:0", "auto"])
def test_a_device_that_is_there(name: str) -> None:
    device = choose_device(name)
    assert torch.ones(2, device=device).sum() == 2


def test_precision() -> None:
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu) == ("bf16" if multiplies_bfloat16(cpu) else "fp32")
    for name in DTYPES:
        assert choose_precision(name, cpu) == name
    assert choose_precision("auto", torch.device("meta")) == "fp32"
    with pytest.raises(GlifError, match="`mps` has no fp64"):
        choose_precision("fp64", torch.device("mps"))


def test_deterministic_is_undone() -> None:
    before = torch.are_deterministic_algorithms_enabled()
    with deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
        with deterministic(False):
            assert torch.are_deterministic_algorithms_enabled()
    assert torch.are_deterministic_algorithms_enabled() == before
