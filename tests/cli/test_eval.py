"""`glif eval` where it works."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Glif, assert_error, unchanged

KEYS = {
    "schema_version", "checkpoint", "model", "neuron", "time_steps", "dataset", "split", "images", "accuracy", "loss",
    "firing_rate", "operations", "gates", "seconds", "images_per_second", "device", "precision", "backend",
}  # fmt: skip


@pytest.fixture(scope="module")
def report(finished_run: Path) -> dict[str, object]:
    return json.loads((finished_run / "report.json").read_text())


def test_json_has_the_keys_of_the_contract(
    glif: Glif, finished_run: Path, report: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    with unchanged(Path.cwd()):
        code, out, err = glif("eval", "--checkpoint", finished_run, "--json", "--device", "cpu")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer.keys() >= KEYS
    assert answer["schema_version"] == 1
    assert answer["checkpoint"] == str(finished_run / "best.safetensors")
    assert (answer["model"], answer["neuron"], answer["time_steps"]) == ("smallnet", "glif", 4)
    assert (answer["dataset"], answer["split"], answer["images"]) == ("digits", "test", 360)
    assert (answer["device"], answer["precision"], answer["backend"]) == ("cpu", "fp32", "numba")
    operations = {"macs", "acs", "neuron_ops", "synaptic_operations", "energy_uj", "ann_energy_uj"}
    assert answer["operations"].keys() >= operations
    assert answer["firing_rate"].keys() == {"network", "layers"}
    for layer in answer["firing_rate"]["layers"]:
        assert layer.keys() >= {"name", "rate", "silent_fraction", "per_step"}
        assert len(layer["per_step"]) == 4
    assert len(answer["gates"]["layers"]) == 3
    # The figures are those that the run reported on the same images.
    for key in ("accuracy", "loss", "firing_rate", "operations", "gates"):
        assert answer[key] == report[key]


def test_the_tables(glif: Glif, finished_run: Path, report: dict[str, object]) -> None:
    code, out, err = glif("eval", "--checkpoint", finished_run / "last.safetensors", "--quiet")
    assert (code, err) == (0, "")
    assert f"{100 * report['accuracy']['top1']:.2f} %" in out  # type: ignore[index]
    assert "stem.neuron" in out
    assert "energy" in out


@pytest.mark.parametrize(("split", "images"), [("validation", 144), ("train", 1293)])
def test_other_splits(glif: Glif, finished_run: Path, split: str, images: int) -> None:
    code, out, err = glif("eval", "--checkpoint", finished_run, "--split", split, "--json", "--quiet")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert (answer["split"], answer["images"]) == (split, images)


def test_the_report_goes_to_a_file_too(glif: Glif, finished_run: Path) -> None:
    code, out, _ = glif("eval", "--checkpoint", finished_run, "--json", "--output", "new/report.json")
    assert code == 0
    assert Path("new/report.json").read_text() == out.rstrip("\n")
    assert [path.name for path in Path("new").iterdir()] == ["report.json"]
    code, _, err = glif("eval", "--checkpoint", finished_run, "--json", "--output", "new/report.json")
    assert code == 2
    assert "the file `new/report.json` exists" in err
    assert glif("eval", "--checkpoint", finished_run, "--output", "new/report.json", "--force").code == 0


def test_min_accuracy_is_the_exit_code(glif: Glif, finished_run: Path, report: dict[str, object]) -> None:
    top1 = report["accuracy"]["top1"]  # type: ignore[index]
    assert glif("eval", "--checkpoint", finished_run, "--min-accuracy", top1).code == 0
    code, out, err = glif("eval", "--checkpoint", finished_run, "--min-accuracy", "0.999", "--json", "--quiet")
    assert code == 1
    assert json.loads(out)["accuracy"]["top1"] == top1
    assert_error(err)
    assert f"the accuracy {top1:.4f} is below `--min-accuracy 0.999`" in err


def test_variables_and_flags(glif: Glif, finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIF_DEVICE", "banana")
    assert "no device `banana`" in glif("eval", "--checkpoint", finished_run).err
    monkeypatch.setenv("GLIF_PRECISION", "fp64")
    code, out, _ = glif("eval", "--checkpoint", finished_run, "--device", "cpu", "--json")
    assert code == 0
    assert json.loads(out)["precision"] == "fp64"
