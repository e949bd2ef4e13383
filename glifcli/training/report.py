"""What a finished run leaves behind: evaluation on the test split, gates, tables and plots."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor

from glifcli.checkpoint import load
from glifcli.data import Dataset, eval_batches
from glifcli.device import DTYPES, choose_device, choose_precision
from glifcli.ops import choose_backend
from glifcli.recipe import Recipe, to_toml
from glifcli.reports.document import evaluation_json, markdown
from glifcli.reports.evaluation import evaluate
from glifcli.reports.gates import gate_report
from glifcli.reports.plots import curves_plot, gates_plot
from glifcli.training.run import CURVES, GATES, REPORT, REPORT_TEXT, Run

Batches = Iterable[tuple[Tensor, Tensor]]


def write_report(
    run: Run,
    recipe: Recipe,
    dataset: Dataset,
    *,
    watch: Callable[[Batches, int], Batches] = lambda batches, _: batches,
) -> dict[str, Any]:
    """Evaluates the run's model on the test split and writes report.json, report.md and the plots; the report.

    The model is the best on the validation split where there is one, else the last. `watch` is given the batches
    and their number, and hands them on, so that the caller can draw progress.
    """
    device = choose_device(recipe.train.device)
    precision = choose_precision(recipe.train.precision, device)
    model, metadata = load(run.chosen, recipe.train.backend)
    model.to(device)
    if precision == "fp64":
        model.double()
    test = dataset.splits["test"]
    size = max(recipe.data.batch_size, 128)
    batches = watch(eval_batches(test, dataset.normalisation, size), -(-len(test) // size))
    evaluation = evaluate(model, batches, device=device, dtype=DTYPES[precision])
    gates = gate_report(model)
    metrics = run.metrics()
    report = {
        **evaluation_json(
            evaluation,
            gates,
            checkpoint=str(run.chosen),
            model=recipe.model.name,
            neuron=recipe.neuron.name,
            time_steps=recipe.model.time_steps,
            dataset=dataset.name,
            split="test",
            device=str(device),
            precision=precision,
            backend=choose_backend(recipe.train.backend, device),
        ),
        "run_dir": str(run.path),
        "epochs": recipe.train.epochs,
        "epoch": metadata.made["epoch"],
        "train_seconds": sum(line["seconds"] for line in metrics),
        "train_images_per_second": mean_speed(metrics),
    }
    run.write(CURVES, curves_plot(metrics))
    run.write(GATES, gates_plot(gates))
    run.write(REPORT_TEXT, markdown(report, metrics, to_toml(recipe)).encode())
    run.write_json(REPORT, report)
    return report


def mean_speed(metrics: Iterable[dict[str, Any]]) -> float:
    """Images a second over all epochs."""
    lines = list(metrics)
    images = sum(line["images_per_second"] * line["seconds"] for line in lines)
    return images / sum(line["seconds"] for line in lines)
