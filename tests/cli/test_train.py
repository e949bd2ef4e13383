"""`glif train` where it works: the answer, the settings' order, going on, and stopping."""

import errno
import json
import os
import pickle
import signal
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from glifcli import recipe as recipes
from glifcli.checkpoint import load, read_metadata
from glifcli.training.run import FILES, Run
from tests.cli.conftest import SHORT, Glif, assert_error, unchanged


def plan(result: Any) -> dict[str, Any]:
    """The recipe of a dry run."""
    assert (result.code, result.err) == (0, "")
    return tomllib.loads(result.out)


def test_the_default_run(glif: Glif) -> None:
    code, out, err = glif("train", *SHORT)
    assert code == 0
    (folder,) = Path("runs").iterdir()
    assert folder.name.startswith("digits-smallnet-")
    assert {path.name for path in folder.iterdir()} == set(FILES)
    assert "digits, test, 360 images" in out
    assert f"report: {folder}/report.md" in out
    assert "\x1b" not in out + err
    headline, epoch, following = err.splitlines()
    assert headline.startswith(f"{folder}: 4,208 parameters, 1,293 images, 1 epochs of 10 steps, device cpu")
    assert epoch.startswith("epoch 1/1: loss ")
    assert following == f"next: glif inspect-gates {folder}"


def test_json_is_one_object(glif: Glif, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    code, out, err = glif("train", *SHORT, "--output", "run", "--json", "--quiet")
    assert (code, err) == (0, "")
    report = json.loads(out)
    keys = {"schema_version", "run_dir", "checkpoint", "epochs", "accuracy", "train_seconds", "images_per_second"}
    assert report.keys() == keys
    assert (report["schema_version"], report["run_dir"], report["epochs"]) == (1, "run", 1)
    assert report["checkpoint"] == "run/best.safetensors"
    assert report["accuracy"].keys() == {"top1", "top5"}
    assert 0 <= report["accuracy"]["top1"] <= report["accuracy"]["top5"] <= 1
    assert report["images_per_second"] > 0


def test_a_dry_run_is_a_recipe_and_writes_nothing(glif: Glif) -> None:
    with unchanged(Path.cwd()):
        result = glif("train", *SHORT, "--dry-run", "--output", "run")
    resolved = plan(result)
    assert resolved["model"] == {"name": "smallnet", "width": 0.25, "time_steps": 4}
    assert resolved["train"]["epochs"] == 1
    assert result.out.endswith("# parameters: 4,208\n# run folder: run\n")
    Path("again.toml").write_text(result.out)
    assert plan(glif("train", "again.toml", "--dry-run")) == resolved


def test_a_dry_run_as_json(glif: Glif) -> None:
    with unchanged(Path.cwd()):
        code, out, err = glif("train", *SHORT, "--dry-run", "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer.keys() == {"schema_version", "recipe", "parameters", "run_dir"}
    assert answer["parameters"] == 4208
    assert answer["recipe"]["data"]["batch_size"] == 128


def test_variables_override_the_recipe_and_flags_override_them(glif: Glif, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "GLIF_EPOCHS": ("7", "train", "epochs", 7),
        "GLIF_SEED": ("3", "train", "seed", 3),
        "GLIF_DEVICE": ("cpu", "train", "device", "cpu"),
        "GLIF_PRECISION": ("fp64", "train", "precision", "fp64"),
        "GLIF_BACKEND": ("reference", "train", "backend", "reference"),
        "GLIF_BATCH_SIZE": ("16", "data", "batch_size", 16),
        "GLIF_DATA_DIR": ("elsewhere", "data", "data_dir", str(Path.cwd() / "elsewhere")),
        "GLIF_DATASET": ("cifar10", "data", "dataset", "cifar10"),
        "GLIF_TIME_STEPS": ("2", "model", "time_steps", 2),
    }
    for name, (text, *_) in variables.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("GLIF_OUTPUT", "named")
    result = glif("train", "--dry-run")
    resolved = plan(result)
    for _, table, key, value in variables.values():
        assert resolved[table][key] == value
    assert "# run folder: named\n" in result.out
    result = glif(
        "train",
        "--dry-run",
        "--epochs",
        "9",
        "--seed",
        "4",
        "--data-dir",
        "here",
        "--dataset",
        "mnist",
        "--output",
        "other",
    )
    resolved = plan(result)
    assert (resolved["train"]["epochs"], resolved["train"]["seed"]) == (9, 4)
    assert resolved["data"]["data_dir"] == str(Path.cwd() / "here")
    assert "# run folder: other\n" in result.out


def test_set_wins_over_flags_and_variables(glif: Glif, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIF_EPOCHS", "7")
    assert plan(glif("train", "--dry-run", "--set", "train.epochs=8"))["train"]["epochs"] == 8
    assert plan(glif("train", "--dry-run", "--epochs", "9", "--set", "train.epochs=8"))["train"]["epochs"] == 8
    twice = ("--set", "train.epochs=8", "--set", "train.epochs=10")
    assert plan(glif("train", "--dry-run", *twice))["train"]["epochs"] == 10


def test_every_recipe_of_the_zoo_can_be_named(glif: Glif) -> None:
    from glifcli import zoo

    names = list(zoo.recipes())
    assert names
    small = ("--set", "model.width=0.1", "--set", "data.validation=0.1", "--set", "augment.cutout=0")
    for name in names:
        code, out, err = glif("train", name, "--dry-run", "--dataset", "digits", *small)
        assert (code, err) == (0, ""), name
        assert tomllib.loads(out)["description"]


def test_force_replaces_a_run(glif: Glif, finished_run: Path) -> None:
    run = Path("run")
    run.mkdir()
    for name in FILES:
        (run / name).write_bytes((finished_run / name).read_bytes())
    (run / "metrics.jsonl").write_text("old\n")
    (run / "notes.txt").write_text("mine")
    code, _, err = glif("train", *SHORT, "--output", run, "--force", "--quiet", "--seed", "5")
    assert (code, err) == (0, "")
    assert tomllib.loads((run / "recipe.toml").read_text())["train"]["seed"] == 5
    assert len(Run(run).metrics()) == 1
    assert (run / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["--resume", "nothing"], "`nothing` holds no run", "give a run folder"),
        (["--resume", "nothing", "--epochs", "5"], "`nothing` holds no run", "give a run folder"),
        (["--resume", "empty"], "`empty` holds no run", "give a run folder"),
        (["--resume", "note.txt"], "`note.txt` holds no run", "give a run folder"),
        (["--resume", "RUN", "--epochs", "5"], "its `train.epochs` is `1`, not `5`", "`glif train --resume RUN`"),
        (["--resume", "RUN", "--set", "optim.lr=1"], "its `optim.lr` is `0.1`, not `1.0`", "`glif train --resume RUN`"),
        (["--resume", "RUN", "--epochs", "0"], "`train.epochs` is `0`", "`train.epochs`"),
        (["--resume", "RUN", "--output", "x"], "goes on with a run in its own folder", "`glif train --resume RUN`"),
        (["digits", "--resume", "RUN"], "goes on with a run in its own folder", "`glif train --resume RUN`"),
        (["--resume", "auto", "--output", "RUN", "--epochs", "5"], "has another recipe", "`glif train --resume RUN`"),
    ],
)
def test_resume_refuses(refused, finished_run: Path, arguments: list[str], error: str, hint: str) -> None:
    Path("empty").mkdir()
    Path("note.txt").write_text("x")
    with unchanged(finished_run):
        err = refused("train", *(argument.replace("RUN", str(finished_run)) for argument in arguments))
    assert error in err
    assert hint.replace("RUN", str(finished_run)) in err.splitlines()[-1]


def test_a_damaged_recipe_of_a_run(refused, finished_run: Path) -> None:
    Path("run").mkdir()
    Path("run/recipe.toml").write_text("[model\n")
    assert "`run/recipe.toml`\n  not TOML" in refused("train", "--resume", "run")


class Bomb:
    """A pickle that makes a file when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch exploded",))


@pytest.mark.parametrize("case", ["truncated", "empty", "text", "pickle", "torch pickle", "another", "other format"])
def test_a_bad_trainer_state(refused, finished_run: Path, case: str) -> None:
    run = Path("run")
    run.mkdir()
    for name in FILES:
        (run / name).write_bytes((finished_run / name).read_bytes())
    state = run / "trainer.pt"
    if case == "truncated":
        state.write_bytes(state.read_bytes()[:-2000])
    elif case == "empty":
        state.write_bytes(b"")
    elif case == "text":
        state.write_text("hello")
    elif case == "pickle":
        state.write_bytes(pickle.dumps(Bomb()))
    elif case == "torch pickle":
        torch.save({"format": 1, "model": Bomb()}, state)
    elif case == "another":
        torch.save({"format": 1, "model": {"a": torch.ones(1)}}, state)
    else:
        torch.save({"format": 99}, state)
    err = refused("train", "--resume", run)
    assert "run" in err
    assert "begin a new run" in err.splitlines()[-1]
    assert not Path("exploded").exists()


def test_a_finished_run_is_reported_again(glif: Glif) -> None:
    assert glif("train", *SHORT, "--output", "run", "--quiet").code == 0
    before = Path("run/last.safetensors").read_bytes()
    Path("run/report.json").unlink()
    # A setting that the run has already changes nothing.
    code, _, err = glif("train", "--resume", "run", "--epochs", "1")
    assert code == 0
    assert "trained to its end already" in err
    assert json.loads(Path("run/report.json").read_text())["epoch"] == 1
    assert Path("run/last.safetensors").read_bytes() == before


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, *signals: int) -> None:
    """Sends this process those signals in that step of the training, once."""
    from glifcli.training.fit import Trainer

    original, waiting = Trainer.train_step, [signals]

    def train_step(self: Any, *batch: Any) -> float:
        loss = original(self, *batch)
        if self.step + 1 == step and waiting:
            for number in waiting.pop():
                signal.raise_signal(number)
        return loss

    monkeypatch.setattr(Trainer, "train_step", train_step)


@pytest.mark.parametrize(
    ("number", "resume"),
    [
        (signal.SIGINT, ["--resume", "my runs/a"]),
        (signal.SIGTERM, ["--resume", "auto", "--output", "my runs/a", *SHORT]),
    ],
)
def test_a_signal_finishes_the_step_and_saves(
    glif: Glif, monkeypatch: pytest.MonkeyPatch, number: int, resume: list[str]
) -> None:
    handlers = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    stop_at(monkeypatch, 3, number)
    code, out, err = glif("train", *SHORT, "--output", "my runs/a")
    assert (code, out) == (130, "")
    assert "finishing the step, then saving; once more to stop at once\n" in err
    assert "error: stopped after step 3 of epoch 1, all saved in `my runs/a`\n" in err
    assert err.endswith("hint: `glif train --resume 'my runs/a'` goes on\n")
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert read_metadata(Path("my runs/a/last.safetensors")).made["epoch"] == 0
    assert not Path("my runs/a/report.json").exists()
    code, out, err = glif("train", *resume)
    assert code == 0
    assert "resumed after epoch 0, step 3\n" in err
    assert "report: my runs/a/report.md" in out
    assert Path("my runs/a/report.json").is_file()


def test_a_second_signal_stops_at_once(glif: Glif, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_at(monkeypatch, 3, signal.SIGINT, signal.SIGINT)
    code, out, err = glif("train", *SHORT, "--output", "run")
    assert (code, out) == (130, "")
    assert "error: interrupted; what was saved last is in `run`\n" in err
    assert err.endswith("hint: `glif train --resume run` goes on with it\n")
    assert not Path("run/trainer.pt").exists()
    assert glif("train", "--resume", "run", "--quiet").code == 0
    assert Path("run/report.json").is_file()


def test_an_interrupted_report_is_made_when_resumed(glif: Glif, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("glifcli.training.report.write_report", interrupted)
        code, _, err = glif("train", *SHORT, "--output", "run", "--quiet")
    assert code == 130
    assert "hint: `glif train --resume run`" in err
    assert glif("train", "--resume", "auto", "--output", "run", *SHORT, "--quiet").code == 0
    assert Path("run/report.json").is_file()


def test_resume_auto_begins_where_there_is_no_run(glif: Glif) -> None:
    code, _, err = glif("train", "--resume", "auto", *SHORT, "--quiet")
    assert (code, err) == (0, "")
    assert len(list(Path("runs").iterdir())) == 1
    # The run is finished: the next one is new.
    assert glif("train", "--resume", "auto", *SHORT, "--dry-run").out.partition("# run folder: ")[2].startswith("runs/")


@pytest.fixture
def full_disk() -> Any:
    """A switch: after `full_disk(patch, path, saves)` the disk is full that many files after `path` was there."""
    original = os.fsync

    def arm(patch: pytest.MonkeyPatch, path: Path, saves: int) -> None:
        written = 0

        def fsync(descriptor: int) -> None:
            nonlocal written
            if path.exists() and stat.S_ISREG(os.fstat(descriptor).st_mode):
                written += 1
                if written > saves:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            original(descriptor)

        patch.setattr("os.fsync", fsync)

    return arm


# After the first epoch's last model: its best one, then the second epoch's metrics and trainer state.
@pytest.mark.parametrize("saves", [1, 2, 3])
def test_a_full_disk_leaves_the_last_good_checkpoint(
    glif: Glif, full_disk: Any, monkeypatch: pytest.MonkeyPatch, saves: int
) -> None:
    last = Path("run/last.safetensors")
    with monkeypatch.context() as patch:
        full_disk(patch, last, saves)
        code, out, err = glif("train", *SHORT, "--epochs", "2", "--output", "run", "--quiet")
    assert (code, out) == (2, "")
    assert_error(err)
    assert "error: cannot write `run/" in err
    assert "No space left on device" in err
    assert "hint: free some space on that disk" in err
    assert "`glif train --resume run` goes on with what was saved last" in err
    assert load(last)[1].made["epoch"] == 1
    assert {path.name for path in Path("run").iterdir()} <= set(FILES)
    assert Run(Path("run")).load_state() is not None
    assert glif("train", "--resume", "run", "--quiet").code == 0
    assert [line["epoch"] for line in Run(Path("run")).metrics()] == [1, 2]
    assert load(last)[1].made["epoch"] == 2


def test_a_loss_that_diverges_is_a_no(glif: Glif) -> None:
    high = ("--set", "optim.lr=1e30", "--set", "optim.warmup_epochs=0")
    code, out, err = glif("train", *SHORT, *high, "--output", "run", "--quiet")
    assert (code, out) == (1, "")
    assert_error(err)
    assert "`--set optim.lr=1e+29`" in err


def test_the_recipe_in_the_run_folder_is_the_one_trained(finished_run: Path) -> None:
    recipe = recipes.check(recipes.read(finished_run / "recipe.toml"), "`run`")
    assert (recipe.train.epochs, recipe.model.width, recipe.data.batch_size) == (1, 0.25, 128)
    assert json.loads((finished_run / "env.json").read_text())["glif"]


def test_a_dry_run_needs_no_images(glif) -> None:
    result = glif("train", "cifar100/resnet19", "--dry-run", "--data-dir", "none", "--json")
    assert result.code == 0
    assert json.loads(result.out)["parameters"] == 12658432
    assert not list(Path().iterdir())


def test_a_variable_for_new_runs_does_not_refuse_a_resume(glif, monkeypatch: pytest.MonkeyPatch) -> None:
    assert glif("train", *SHORT, "--output", "run").code == 0
    for name, value in (("OUTPUT", "other"), ("EPOCHS", "7"), ("SEED", "3"), ("BATCH_SIZE", "16")):
        monkeypatch.setenv(f"GLIF_{name}", value)
    assert glif("train", "--resume", "run").code == 0
    assert glif("train", "--resume", "run", "--epochs", "7").code == 2


def test_resume_auto_leaves_the_runs_of_other_recipes(glif) -> None:
    other = Path("runs/digits-smallnet-wide-20260101-000000")
    other.mkdir(parents=True)
    (other / "recipe.toml").write_text("[train]\nepochs = 9\n")
    assert glif("train", *SHORT, "--resume", "auto").code == 0
    assert [path.name for path in other.iterdir()] == ["recipe.toml"]


def test_a_folder_of_images_is_not_silently_left_unread(glif, refused, finished_run: Path) -> None:
    err = refused("train", "--data-dir", "photos")
    assert "`--data-dir photos` has no meaning for the data set `digits`" in err
    assert "`--dataset imagefolder`" in err
    assert "has no meaning" in refused("eval", "--checkpoint", finished_run, "--data-dir", "photos")


def test_a_folder_in_the_environment_is_for_the_sets_that_read_one(glif, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIF_DATA_DIR", "photos")
    assert glif("train", "--dry-run").code == 0
