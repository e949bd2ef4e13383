"""`glif inspect-gates` where it works, and what it does not overwrite."""

import csv
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Glif, unchanged

LAYER = {
    "name", "channels", "alpha", "beta", "gamma", "tau", "threshold", "leak", "reset", "conductance", "decay", "nearest"
}  # fmt: skip


def test_json_has_the_keys_of_the_contract(glif: Glif, finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    with unchanged(Path.cwd()):
        code, out, err = glif("inspect-gates", finished_run, "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer.keys() == {"schema_version", "checkpoint", "layers"}
    assert (answer["schema_version"], answer["checkpoint"]) == (1, str(finished_run / "best.safetensors"))
    assert len(answer["layers"]) == 3
    for layer in answer["layers"]:
        assert layer.keys() >= LAYER
        assert len(layer["conductance"]) == 4
        for summary in (layer["alpha"], layer["tau"], *layer["conductance"]):
            assert summary.keys() == {"mean", "std", "min", "max", "histogram"}
            assert summary["histogram"].keys() == {"edges", "counts"}
        assert layer["nearest"].keys() == {"leak", "conductance", "reset"}


def test_a_long_name_in_json_is_neither_wrapped_nor_taken_for_markup(glif: Glif, finished_run: Path) -> None:
    name = "[bold]" + "long " * 40 + ".safetensors"
    Path(name).write_bytes((finished_run / "best.safetensors").read_bytes())
    code, out, _ = glif("inspect-gates", name, "--json")
    assert code == 0
    assert json.loads(out)["checkpoint"] == name


def test_the_flag_is_the_same_as_the_argument(glif: Glif, finished_run: Path) -> None:
    assert glif("inspect-gates", finished_run, "--json") == glif(
        "inspect-gates", "--checkpoint", finished_run, "--json"
    )


@pytest.mark.parametrize("references", [[], ["a", "--checkpoint", "b"]])
def test_one_model_and_no_more(refused, references: list[str]) -> None:
    assert "give one model, as REF or with `--checkpoint`" in refused("inspect-gates", *references)


def test_the_tables(glif: Glif, finished_run: Path) -> None:
    code, out, err = glif("inspect-gates", finished_run)
    assert (code, err) == (0, "")
    assert all(word in out for word in ("alpha: leak", "layers.1.neuron", "threshold"))
    assert "\x1b" not in out


def test_a_comparison_with_itself_has_no_differences(glif: Glif, finished_run: Path) -> None:
    code, out, _ = glif("inspect-gates", finished_run, "--compare", finished_run / "best.safetensors", "--json")
    assert code == 0
    answer = json.loads(out)
    assert answer.keys() == {"schema_version", "checkpoint", "layers", "compare"}
    assert answer["compare"]["checkpoint"] == str(finished_run / "best.safetensors")
    assert len(answer["compare"]["layers"]) == 3


@pytest.mark.parametrize(("flag", "start"), [("--plot", b"\x89PNG"), ("--csv", b"layer,")])
def test_files_are_written_but_not_over_others(
    glif: Glif, refused, finished_run: Path, flag: str, start: bytes
) -> None:
    file = Path("new/folder/out")
    code, out, err = glif("inspect-gates", finished_run, flag, file, "--json")
    assert code == 0
    assert json.loads(out)
    assert str(file) in err
    assert file.read_bytes().startswith(start)
    assert [path.name for path in file.parent.iterdir()] == ["out"]
    file.write_text("mine")
    err = refused("inspect-gates", finished_run, flag, file)
    assert f"the file `{file}` exists" in err
    assert "`--force`" in err
    code, _, err = glif("inspect-gates", finished_run, flag, file, "--force", "--quiet")
    assert (code, err) == (0, "")
    assert file.read_bytes().startswith(start)


def test_an_empty_file_may_be_overwritten(glif: Glif, finished_run: Path) -> None:
    Path("gates.csv").touch()
    assert glif("inspect-gates", finished_run, "--csv", "gates.csv").code == 0
    rows = list(csv.DictReader(Path("gates.csv").read_text().splitlines()))
    assert {row["layer"] for row in rows} == {"stem.neuron", "layers.0.neuron", "layers.1.neuron"}


def test_plot_and_csv_need_two_files(refused, finished_run: Path) -> None:
    assert "`--plot` and `--csv` are both `out`" in refused(
        "inspect-gates", finished_run, "--plot", "out", "--csv", "out"
    )


def test_a_full_disk_leaves_nothing(refused, finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)
    err = refused("inspect-gates", finished_run, "--csv", "gates.csv")
    assert "cannot write `gates.csv`: No space left on device" in err
    assert "free some space" in err
