"""The training loop: what it learns, writes, resumes and refuses."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from glifcli.checkpoint import load, read_metadata
from glifcli.data import Dataset, eval_batches
from glifcli.errors import AnswerNo, CheckpointError, GlifError, SaveError
from glifcli.recipe import Recipe
from glifcli.reports.evaluation import evaluate
from glifcli.training import fit as fit_module
from glifcli.training import run as run_module
from glifcli.training.events import EpochDone, Event, Started, Step, Stopped
from glifcli.training.fit import Trainer
from glifcli.training.run import Run

MakeRecipe = Callable[..., Recipe]
MakeRun = Callable[[str, Recipe], Run]
TIMES = {"images_per_second", "seconds"}

VARIANTS: list[dict[str, Any]] = [
    {},
    {"train__ema": 0.9, "loss__tet": True, "augment__mixup": 0.4, "loss__label_smoothing": 0.1},
    {"optim__name": "adamw", "optim__lr": 0.01, "augment__policy": "trivialaugment", "train__precision": "bf16"},
    {"optim__schedule": "onecycle", "train__precision": "fp64", "data__validation": 0},
]


def same_weights(a: Run, b: Run, name: str = "last.safetensors") -> bool:
    first, second = (safetensors.torch.load_file(run.path / name) for run in (a, b))
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def timeless(run: Run) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if key not in TIMES} for line in run.metrics()]


def fit(run: Run, recipe: Recipe, dataset: Dataset, *, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    return fit_module.fit(Trainer(run, recipe, dataset), stop=stop)


def train_until(events: Iterator[Event], steps: int) -> None:
    """Takes events up to that many steps, then drops the run as a kill would."""
    for event in events:
        steps -= isinstance(event, Step)
        if not steps:
            return


def test_it_learns_and_says_so(dataset: Dataset, make_recipe: MakeRecipe, make_run: MakeRun) -> None:
    recipe = make_recipe(train__epochs=6, optim__name="adamw", optim__lr=0.02)
    run = make_run("run", recipe)
    events = list(fit(run, recipe, dataset))
    assert isinstance(events[0], Started)
    assert (events[0].steps_per_epoch, events[0].epochs, events[0].images) == (9, 6, 72)
    assert sum(isinstance(event, Step) for event in events) == 54
    epochs = [event.metrics for event in events if isinstance(event, EpochDone)]
    assert run.metrics() == epochs
    assert [line["epoch"] for line in epochs] == [1, 2, 3, 4, 5, 6]
    assert epochs[-1]["train_loss"] < 0.6 * epochs[0]["train_loss"]
    assert epochs[-1]["val_top1"] > 0.8
    line = epochs[-1]
    assert line["firing_rate"]["layers"].keys() == line["gates"].keys()
    assert line["gates"]["stem.neuron"].keys() == {"alpha", "beta", "gamma"}
    assert line["lr"]["gates"] == pytest.approx(line["lr"]["weights"] / 10)
    model, metadata = load(run.best)
    batches = eval_batches(dataset.splits["validation"], dataset.normalisation, 24)
    evaluation = evaluate(model, batches, device=torch.device("cpu"), dtype=torch.float32)
    assert evaluation.top1 == max(line["val_top1"] for line in epochs)
    assert metadata.made["epoch"] == 1 + max(range(6), key=lambda i: (epochs[i]["val_top1"], i))


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_dropped_run_resumes_to_the_same_bits(
    variant: dict[str, Any], dataset: Dataset, make_recipe: MakeRecipe, make_run: MakeRun
) -> None:
    recipe = make_recipe(train__save_minutes=1e-9, **variant)
    if recipe.data.validation == 0:
        dataset.splits.pop("validation")  # type: ignore[attr-defined]
    whole, broken = make_run("whole", recipe), make_run("broken", recipe)
    list(fit(whole, recipe, dataset))
    for steps in (1, 7, 9, 6):
        train_until(fit(broken, recipe, dataset), steps)
        torch.rand(3)  # whatever else happened to the generator in between
    list(fit(broken, recipe, dataset))
    assert same_weights(whole, broken)
    assert timeless(whole) == timeless(broken)
    assert whole.best.exists() == broken.best.exists() == bool(recipe.data.validation)
    if whole.best.exists():
        assert same_weights(whole, broken, "best.safetensors")


def test_stopping_saves_and_goes_on(dataset: Dataset, make_recipe: MakeRecipe, make_run: MakeRun) -> None:
    recipe = make_recipe()
    whole, stopped = make_run("whole", recipe), make_run("stopped", recipe)
    list(fit(whole, recipe, dataset))
    for wanted in (4, 5, 6):
        seen: list[Event] = []
        for event in fit(stopped, recipe, dataset, stop=lambda seen=seen, wanted=wanted: len(seen) > wanted):
            seen.append(event)  # noqa: PERF402 - stop() counts them as they come
        assert isinstance(seen[-1], Stopped)
        assert read_metadata(stopped.last).architecture == "smallnet"
    list(fit(stopped, recipe, dataset))
    assert same_weights(whole, stopped)
    assert timeless(whole) == timeless(stopped)


def test_stopping_within_the_validation_keeps_the_epoch(
    dataset: Dataset, make_recipe: MakeRecipe, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe(train__epochs=1)
    whole, stopped = make_run("whole", recipe), make_run("stopped", recipe)
    list(fit(whole, recipe, dataset))
    validating = []
    real = fit_module.evaluate

    def noticed(*args: Any, **kwargs: Any) -> Any:
        validating.append(True)
        return real(*args, **kwargs)

    monkeypatch.setattr(fit_module, "evaluate", noticed)
    events = list(fit(stopped, recipe, dataset, stop=lambda: bool(validating)))
    assert events[-1] == Stopped(epoch=0, step=9)
    assert stopped.metrics() == []
    monkeypatch.undo()
    assert [type(event) for event in fit(stopped, recipe, dataset)] == [Started, EpochDone]
    assert same_weights(whole, stopped)


@pytest.mark.parametrize("fails_at", range(1, 9))
def test_a_kill_during_any_write_resumes_to_the_same_bits(
    fails_at: int, dataset: Dataset, make_recipe: MakeRecipe, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe(train__epochs=2)
    whole, broken = make_run("whole", recipe), make_run("broken", recipe)
    list(fit(whole, recipe, dataset))
    writes = 0

    class KilledError(BaseException):
        pass

    def dying(path: Any, content: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes == fails_at:
            path.with_name(f".{path.name}.1.tmp").write_bytes(content[: len(content) // 2])
            raise KilledError
        real(path, content)

    real = run_module.write_atomically
    with monkeypatch.context() as patched:
        patched.setattr("glifcli.training.run.write_atomically", dying)
        patched.setattr("glifcli.checkpoint.write_atomically", dying)
        with pytest.raises(KilledError):
            list(fit(broken, recipe, dataset))
    list(fit(broken, recipe, dataset))
    assert same_weights(whole, broken)
    assert same_weights(whole, broken, "best.safetensors")
    assert timeless(whole) == timeless(broken)
    assert not list(broken.path.glob(".*.tmp"))


def test_the_seed_is_all_that_decides(dataset: Dataset, make_recipe: MakeRecipe, make_run: MakeRun) -> None:
    runs = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(len(runs))
        recipe = make_recipe(train__seed=seed, train__epochs=1)
        run = make_run(name, recipe)
        list(fit(run, recipe, dataset))
        runs.append(run)
    assert same_weights(runs[0], runs[1])
    assert not same_weights(runs[0], runs[2])


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_model(
    dataset: Dataset, make_recipe: MakeRecipe, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe()
    run = make_run("run", recipe)
    real, calls = fit_module.loss_of, 0

    def breaking(*args: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return real(*args) * (float("nan") if calls == 12 else 1)

    monkeypatch.setattr(fit_module, "loss_of", breaking)
    with pytest.raises(AnswerNo) as raised:
        list(fit(run, recipe, dataset))
    assert "the loss is `nan`" in raised.value.message
    assert "at step 3 of epoch 2" in raised.value.message
    assert "learning rate of 0.0" in raised.value.message
    assert str(run.last) in raised.value.message
    assert "--set optim.lr=0.01" in raised.value.hint
    assert load(run.last)[1].made["epoch"] == 1


def test_a_full_disk_keeps_what_was_saved(
    dataset: Dataset, make_recipe: MakeRecipe, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe()
    run = make_run("run", recipe)
    events = fit(run, recipe, dataset)
    for event in events:
        if isinstance(event, EpochDone):
            break
    before = {path.name: path.read_bytes() for path in run.path.iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("glifcli.files.os.fsync", full)
    with pytest.raises(SaveError) as raised:
        list(events)
    assert "No space left on device" in raised.value.message
    assert "free some space" in raised.value.hint
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in run.path.iterdir()} == before
    assert isinstance(list(fit(run, recipe, dataset))[-1], EpochDone)


def test_a_state_that_does_not_fit_is_refused(dataset: Dataset, make_recipe: MakeRecipe, make_run: MakeRun) -> None:
    run = make_run("run", make_recipe(train__epochs=1))
    list(fit(run, make_recipe(train__epochs=1), dataset))
    with pytest.raises(CheckpointError, match="does not fit its recipe"):
        list(fit(run, make_recipe(model__width=0.5), dataset))


def test_deterministic_mode_is_put_back(dataset: Dataset, make_recipe: MakeRecipe, make_run: MakeRun) -> None:
    recipe = make_recipe(train__epochs=1)
    assert not torch.are_deterministic_algorithms_enabled()
    events = fit(make_run("run", recipe), recipe, dataset)
    next(events)
    assert torch.are_deterministic_algorithms_enabled()
    list(events)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("where", ["stem.conv.weight", "layers.0.neuron.alpha", "layers.1.norm.running_mean"])
def test_a_weight_that_is_not_finite_is_never_saved(
    where: str, dataset: Dataset, make_recipe: MakeRecipe, make_run: MakeRun
) -> None:
    # A NaN current makes no spike and a finite loss: only gradients or weights can tell.
    recipe = make_recipe(train__save_minutes=1e-9)
    run = make_run("run", recipe)
    trainer = Trainer(run, recipe, dataset)

    def poisoned() -> None:
        for event in fit_module.fit(trainer):
            if isinstance(event, EpochDone):
                trainer.model.state_dict()[where].fill_(float("nan"))

    with pytest.raises(AnswerNo) as raised:
        poisoned()
    assert "epoch 2" in raised.value.message
    state = run.load_state()
    assert state is not None
    assert all(value.isfinite().all() for value in state["model"].values())
    assert load(run.last)[1].made["epoch"] == 1


def test_settings_that_do_not_fit_the_images_are_told_before_anything_is_written(
    dataset: Dataset, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    with pytest.raises(GlifError, match="cutout"):
        Trainer(Run(tmp_path / "run"), make_recipe(augment__cutout=16), dataset)
    assert not (tmp_path / "run").exists()


def test_one_process_a_run_folder(make_recipe: MakeRecipe, make_run: MakeRun) -> None:
    run = make_run("run", make_recipe())
    assert not run.is_locked()
    with run.locked():
        assert run.is_locked()
        with pytest.raises(GlifError, match="another process trains"), run.locked():
            pass
    assert not run.is_locked()


def test_a_run_without_its_state_is_not_begun_again(
    dataset: Dataset, make_recipe: MakeRecipe, make_run: MakeRun
) -> None:
    recipe = make_recipe(train__epochs=1)
    run = make_run("run", recipe)
    list(fit(run, recipe, dataset))
    (run.path / "trainer.pt").unlink()
    before = run.last.read_bytes()
    with pytest.raises(CheckpointError, match=r"no `trainer\.pt`"):
        list(fit(run, recipe, dataset))
    assert run.last.read_bytes() == before


@pytest.mark.parametrize("damage", ["", '{"epoch": 1', "3"])
def test_damaged_metrics_are_told(damage: str, dataset: Dataset, make_recipe: MakeRecipe, make_run: MakeRun) -> None:
    recipe = make_recipe(train__epochs=1)
    run = make_run("run", recipe)
    list(fit(run, recipe, dataset))
    (run.path / "metrics.jsonl").write_text(damage)
    with pytest.raises(CheckpointError, match="metrics"):
        list(fit(run, recipe, dataset))
