"""What a finished run leaves behind: evaluation on the test split, gates, tables and plots."""

from collections.abc import Sequence
from typing import Any

from glifcli.checkpoint import read_metadata
from glifcli.data import Dataset
from glifcli.recipe import Recipe, to_toml
from glifcli.reports.document import markdown
from glifcli.reports.judge import judge
from glifcli.reports.plots import curves_plot, gates_plot, rates_plot
from glifcli.reports.subject import BATCH_SIZE, Watch, load_subject
from glifcli.training.run import CURVES, GATES, RATES, REPORT, REPORT_TEXT, Run


def write_report(
    run: Run, recipe: Recipe, dataset: Dataset, *, watch: Watch = lambda batches, _: batches
) -> dict[str, Any]:
    """Evaluates the run's model on the test split and writes report.json, report.md and the plots; the report.

    The model is the best on the validation split where there is one, else the last. `watch` as in `judge`.
    """
    subject = load_subject(
        run.chosen,
        dataset,
        "test",
        device=recipe.train.device,
        precision=recipe.train.precision,
        backend=recipe.train.backend,
        batch_size=max(recipe.data.batch_size, BATCH_SIZE),
    )
    judgement = judge(subject, watch=watch)
    metrics = run.metrics()
    report = {
        **judgement.json,
        "run_dir": str(run.path),
        "epochs": recipe.train.epochs,
        "epoch": read_metadata(run.chosen).made["epoch"],
        "train_seconds": sum(line["seconds"] for line in metrics),
        "train_images_per_second": mean_speed(metrics),
    }
    run.write(CURVES, curves_plot(metrics))
    run.write(GATES, gates_plot(judgement.gates))
    run.write(RATES, rates_plot(judgement.evaluation.firing_rate))
    run.write(REPORT_TEXT, markdown(report, metrics, to_toml(recipe)).encode())
    run.write_json(REPORT, report)
    return report


def mean_speed(metrics: Sequence[dict[str, Any]]) -> float:
    """Images a second over all epochs."""
    images = sum(line["images_per_second"] * line["seconds"] for line in metrics)
    return images / sum(line["seconds"] for line in metrics)
