"""What a finished run leaves in its folder."""

import json
from collections.abc import Callable

import pytest

from glifcli.data import Dataset
from glifcli.recipe import Recipe
from glifcli.training.fit import Trainer, fit
from glifcli.training.report import mean_speed, write_report
from glifcli.training.run import FILES, REPORT, REPORT_TEXT, Run


@pytest.mark.parametrize("validation", [0, 0.25])
def test_everything_is_there(
    validation: float, dataset: Dataset, make_recipe: Callable[..., Recipe], make_run: Callable[[str, Recipe], Run]
) -> None:
    recipe = make_recipe(data__validation=validation)
    if not validation:
        dataset.splits.pop("validation")  # type: ignore[attr-defined]
    run = make_run("run", recipe)
    list(fit(Trainer(run, recipe, dataset)))
    watched = []
    report = write_report(run, recipe, dataset, watch=lambda batches, total: watched.append(total) or batches)
    missing = {name for name in FILES if not (run.path / name).is_file()}
    assert missing == (set() if validation else {"best.safetensors"})
    assert {path.name for path in run.path.iterdir()} == set(FILES) - missing
    assert watched == [1]
    assert json.loads((run.path / REPORT).read_text()) == report
    assert report["checkpoint"] == str(run.best if validation else run.last)
    assert report["images"] == 24
    assert (report["epochs"], report["dataset"], report["split"]) == (3, "digits", "test")
    assert report["train_seconds"] == pytest.approx(sum(line["seconds"] for line in run.metrics()))
    assert f"{100 * report['accuracy']['top1']:.2f} %" in (run.path / REPORT_TEXT).read_text()


def test_mean_speed_is_all_images_over_all_seconds() -> None:
    lines = [{"images_per_second": 10.0, "seconds": 1.0}, {"images_per_second": 20.0, "seconds": 3.0}]
    assert mean_speed(lines) == pytest.approx(70 / 4)
