"""`glif eval` at other numbers of time steps and with early exits."""

import json
from pathlib import Path
from typing import Any

import pytest

from glifcli.cli import sweep
from glifcli.errors import AnswerNo
from tests.cli.conftest import Glif, assert_error, unchanged

HEAD = {
    "schema_version", "checkpoint", "model", "neuron", "dataset", "split", "images", "precision", "backend", "device",
    "conductance", "trained_time_steps", "time_steps",
}  # fmt: skip
COSTS = {"macs", "acs", "neuron_ops", "synaptic_operations", "energy_uj", "neuron_energy_uj", "ann_energy_uj"}
ROW = {"accuracy", "loss", "firing_rate"} | COSTS


@pytest.fixture
def evaluated(glif: Glif, finished_run: Path) -> Any:
    """What `glif eval --json` of the run answers."""

    def call(*arguments: object) -> dict[str, Any]:
        code, out, err = glif("eval", "--checkpoint", finished_run, "--device", "cpu", "--json", *arguments)
        assert (code, err) == (0, "")
        return json.loads(out)

    return call


def assert_row(row: dict[str, Any], plain: dict[str, Any]) -> None:
    """A row has the figures of a plain evaluation."""
    assert row["accuracy"] == plain["accuracy"]
    assert row["loss"] == pytest.approx(plain["loss"], abs=1e-6)
    assert row["firing_rate"] == plain["firing_rate"]["network"]
    assert {name: row[name] for name in COSTS} == {name: plain["operations"][name] for name in COSTS}


@pytest.mark.parametrize("conductance", ["hold", "mean"])
def test_rows_are_evaluations_of_their_own(evaluated: Any, conductance: str) -> None:
    with unchanged(Path.cwd()):
        report = evaluated("--time-steps", " 6,1,4,1", "--conductance", conductance)
    assert report.keys() == HEAD
    assert (report["schema_version"], report["images"], report["trained_time_steps"]) == (1, 360, 4)
    assert report["conductance"] == conductance
    assert [row["time_steps"] for row in report["time_steps"]] == [1, 4, 6]
    for row in report["time_steps"]:
        assert row.keys() == ROW | {"time_steps", "latency_ms"}
        assert 0 < row["latency_ms"] < 1000
        steps = row["time_steps"]
        assert_row(row, evaluated("--time-steps", steps, "--conductance", conductance))
        if steps == 4:
            assert_row(row, evaluated())


def test_one_number_is_an_evaluation_at_it(evaluated: Any) -> None:
    plain, same, other = evaluated(), evaluated("--time-steps", "4,4"), evaluated("--time-steps", "2")
    assert same.keys() == other.keys() == plain.keys() | {"trained_time_steps", "conductance"}
    for key in plain.keys() - {"seconds", "images_per_second"}:
        assert same[key] == plain[key]
    assert (other["time_steps"], other["trained_time_steps"], other["conductance"]) == (2, 4, "hold")
    assert len(other["firing_rate"]["layers"][0]["per_step"]) == 2
    # The gates as they are: the drift of the leak is from where training began.
    drifts = [[layer["drift"]["leak"] for layer in report["gates"]["layers"]] for report in (plain, other)]
    assert drifts[0] == drifts[1]


def test_early_exit(evaluated: Any) -> None:
    report = evaluated("--early-exit", "0.3")
    assert report.keys() == HEAD | {"early_exit"}
    assert (report["time_steps"], report["trained_time_steps"], report["conductance"]) == (4, 4, None)
    assert report["early_exit"].keys() == {"asked", "thresholds"}
    assert report["early_exit"]["asked"] == [0.3]
    rows = report["early_exit"]["thresholds"]
    assert [row["threshold"] for row in rows] == [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1]
    steps = [row["mean_time_steps"] for row in rows]
    assert steps == sorted(steps)
    for row in rows:
        assert row.keys() == ROW | {"threshold", "mean_time_steps", "exits"}
        assert len(row["exits"]) == 4
        assert sum(row["exits"]) == pytest.approx(1)
        mean = sum(step * share for step, share in enumerate(row["exits"], 1))
        assert row["mean_time_steps"] == pytest.approx(mean)
    assert_row(rows[-1], evaluated())
    assert rows[-1]["exits"] == [0, 0, 0, 1]


def test_early_exit_at_another_number_of_time_steps(evaluated: Any) -> None:
    report = evaluated("--early-exit", "0.2,0.05,1", "--time-steps", "6", "--conductance", "mean")
    assert (report["time_steps"], report["trained_time_steps"], report["conductance"]) == (6, 4, "mean")
    assert report["early_exit"]["asked"] == [0.05, 0.2, 1]
    rows = report["early_exit"]["thresholds"]
    assert [row["threshold"] for row in rows] == [0.05, 0.2, 1]
    # Of ten classes the likeliest has a tenth at least.
    assert rows[0]["exits"] == [1, 0, 0, 0, 0, 0]
    assert_row(rows[0], evaluated("--time-steps", "1", "--conductance", "mean"))
    assert_row(rows[-1], evaluated("--time-steps", "6", "--conductance", "mean"))


def test_tables_and_files(glif: Glif, finished_run: Path) -> None:
    code, out, err = glif("eval", "--checkpoint", finished_run, "--time-steps", "1,4", "--output", "steps.json")
    assert (code, err) == (0, "")
    rows = json.loads(Path("steps.json").read_text())["time_steps"]
    assert "trained with 4, conductance hold" in out
    for row in rows:
        assert f"{100 * row['accuracy']['top1']:.2f} %" in out
        assert f"{row['energy_uj']:.4g} uJ" in out
    code, out, err = glif(
        "eval", "--checkpoint", finished_run, "--early-exit", "0.9", "--output", "exit.json", "--plot", "new/exit.png"
    )
    assert (code, err) == (0, "drawn: new/exit.png\n")
    assert "never" in out
    assert Path("new/exit.png").read_bytes().startswith(b"\x89PNG")
    for row in json.loads(Path("exit.json").read_text())["early_exit"]["thresholds"]:
        assert f"{row['mean_time_steps']:.3f}" in out
    arguments = ("--early-exit", "0.9", "--plot", "new/exit.png", "--force", "--quiet")
    assert glif("eval", "--checkpoint", finished_run, *arguments).err == ""


def test_min_accuracy_is_of_every_row_asked_for(glif: Glif, finished_run: Path) -> None:
    arguments = ("eval", "--checkpoint", finished_run, "--quiet", "--json")
    for mode in (("--time-steps", "1,4"), ("--early-exit", "0.9")):
        assert glif(*arguments, *mode, "--min-accuracy", "0.01").code == 0
        code, out, err = glif(*arguments, *mode, "--min-accuracy", "0.999")
        assert code == 1
        assert json.loads(out)
        assert_error(err)
        assert "is below `--min-accuracy 0.999`" in err


def test_the_lowest_accuracy_is_named() -> None:
    steps = {"time_steps": [{"time_steps": n, "accuracy": {"top1": x}} for n, x in ((1, 0.8), (2, 0.7), (4, 0.9))]}
    sweep.check_accuracy(sweep.accuracies(steps), 0.7)
    sweep.check_accuracy(sweep.accuracies(steps), None)
    with pytest.raises(AnswerNo, match=r"0\.7000 at 2 time steps is below `--min-accuracy 0\.75`"):
        sweep.check_accuracy(sweep.accuracies(steps), 0.75)
    # The other thresholds of the curve were not asked for.
    rows = [{"threshold": t, "accuracy": {"top1": x}} for t, x in ((0.5, 0.6), (0.9, 0.8), (1.0, 0.9))]
    exits = {"time_steps": 4, "early_exit": {"asked": [0.9], "thresholds": rows}}
    sweep.check_accuracy(sweep.accuracies(exits), 0.8)
    with pytest.raises(AnswerNo, match=r"0\.8000 with `--early-exit 0\.9` is below"):
        sweep.check_accuracy(sweep.accuracies(exits), 0.85)


def test_the_variable_of_training_is_not_read(glif: Glif, finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIF_TIME_STEPS", "2")
    assert json.loads(glif("eval", "--checkpoint", finished_run, "--json").out)["time_steps"] == 4
