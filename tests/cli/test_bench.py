"""`glif bench` on a small network, and what it refuses."""

import json
from pathlib import Path

import pytest

from glifcli.benchmark import operator
from glifcli.benchmark.operator import Case
from tests.cli.conftest import Glif


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    case = Case((2, 2, 16, 4, 4), torch.float32, "contiguous")
    monkeypatch.setattr(operator, "default_cases", lambda device: (case,))


def test_json_has_the_keys_of_the_contract(glif: Glif, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    code, out, err = glif(
        "bench", "--model", "smallnet", "--batch-size", "2", "--repeats", "1", "--device", "cpu", "--json", "--quiet",
        "--output", file,
    )  # fmt: skip
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert json.loads(file.read_text()) == report
    assert report["schema_version"] == 1
    assert report["device"] == "cpu"
    assert report["limits"].keys() == {"copy_gb_s", "conv_fp32_gflop_s", "conv_bf16_gflop_s"}
    keys = {"shape", "dtype", "layout", "backend", "forward_ms", "forward_backward_ms", "peak_mb", "speedup"}
    assert [row["backend"] for row in report["operator"]] == ["reference", "numba"]
    assert all(row.keys() >= keys for row in report["operator"])
    assert report["operator"][0]["shape"] == [2, 2, 16, 4, 4]
    assert {row["backend"] for row in report["network"]} == {"reference", "numba"}
    assert {"torch", "numba"} <= report["packages"].keys()


def test_tables_of_one_part(glif: Glif) -> None:
    code, out, err = glif("bench", "--only", "operator", "--repeats", "1", "--device", "cpu")
    assert code == 0
    assert "2x2x16x4x4 float32 contiguous" in out
    assert "Operator" in out
    assert "T = 2" not in out
    assert "numba" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--only", "operators"), ["`operators`", "`operator`"]),
        (("--model", "resnet91"), ["`resnet91`", "`resnet19`"]),
        (("--repeats", "0"), ["`--repeats`", "`0`"]),
        (("--batch-size", "-1"), ["`--batch-size`", "`-1`"]),
        (("--peer", "norse"), ["`norse`", "spikingjelly"]),
        (("--device", "tpu"), ["`tpu`"]),
        (("--only", "network", "--peer", "spikingjelly"), ["`--peer spikingjelly`", "operator"]),
    ],
)
def test_what_it_refuses(glif: Glif, arguments: tuple[str, ...], words: list[str]) -> None:
    code, out, err = glif("bench", *arguments)
    assert (code, out) == (2, "")
    assert all(word in err for word in words), err


def test_a_peer_that_is_not_installed(glif: Glif, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "spikingjelly", None)
    monkeypatch.setitem(sys.modules, "spikingjelly.activation_based", None)
    code, out, err = glif("bench", "--peer", "spikingjelly")
    assert (code, out) == (2, "")
    assert "pip install 'glif[peers]'" in err
