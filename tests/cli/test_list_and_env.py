"""`glif list` and `glif env`."""

import json

import pytest

from glifcli import __version__, zoo
from tests.cli.conftest import Glif


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")


def test_list_as_json(glif: Glif) -> None:
    code, out, err = glif("list", "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["schema_version"] == 1
    assert [row["name"] for row in answer["recipes"]] == list(zoo.recipes())
    keys = {"name", "description", "model", "neuron", "time_steps", "dataset", "epochs", "path"}
    assert all(row.keys() >= keys for row in answer["recipes"])
    assert "digits" in answer["datasets"]


def test_list(glif: Glif) -> None:
    code, out, err = glif("list")
    assert (code, err) == (0, "")
    assert all(name in out for name in zoo.recipes())
    assert "data sets: digits, " in out
    assert "\x1b" not in out


def test_list_without_a_zoo(glif: Glif, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIF_ZOO", "nowhere")
    code, out, err = glif("list")
    assert (code, out) == (2, "")
    assert err == "error: no recipes in the zoo `nowhere`\nhint: unset `GLIF_ZOO`, or install glif again\n"


def test_env_as_json(glif: Glif) -> None:
    code, out, err = glif("env", "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert (answer["schema_version"], answer["glif"]) == (1, __version__)
    assert answer.keys() >= {"python", "platform", "packages", "cpu", "device", "precision", "backend", "backends"}


def test_env(glif: Glif) -> None:
    code, out, err = glif("env")
    assert (code, err) == (0, "")
    assert __version__ in out
    assert "backend" in out
    assert "\x1b" not in out
