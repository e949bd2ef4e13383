"""`glif eval`."""

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from glifcli.cli import options, sweep
from glifcli.cli.output import answer, answer_json, check_output, json_text, note, write_output
from glifcli.errors import DataError, GlifError, RecipeError, nearest

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from glifcli.checkpoint import Metadata
    from glifcli.data import Dataset
    from glifcli.recipe import Data

EXAMPLES = (
    "[bold]glif eval --checkpoint runs/digits-smallnet-20261123-120000[/]\n\n"
    "[bold]glif eval --checkpoint runs/photos --data-dir photos --json[/]\n\n"
    "[bold]glif eval --checkpoint runs/first --min-accuracy 0.9[/]\n\n"
    "[bold]glif eval --checkpoint runs/first --time-steps 1,2,4,6[/]\n\n"
    "[bold]glif eval --checkpoint runs/first --early-exit 0.9[/]"
)


def evaluate(
    context: typer.Context,
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="A model file or a run folder.", metavar="REF")],
    dataset: options.DatasetName = None,
    data_dir: options.DataDir = None,
    download: options.Download = False,
    split: Annotated[str, typer.Option("--split", help="test, validation or train.")] = "test",
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    precision: options.Precision = None,
    backend: options.Backend = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(
            "--min-accuracy",
            help="Exit with 1 where top-1, a fraction of 1, is lower; in a table, that of a row asked for.",
            min=0,
            max=1,
            metavar="X",
        ),
    ] = None,
    time_steps: sweep.TimeSteps = None,
    conductance: sweep.Conductance = None,
    early_exit: sweep.EarlyExit = None,
    plot: sweep.Plot = None,
    output: options.OutputFile = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Report accuracy, loss, firing rates, operations, energy and gates of a model.

    Unless told otherwise it reads the test split of the model's own data set, sized and normalised as in training.
    """
    from glifcli.checkpoint import find, read_metadata
    from glifcli.cli.progress import watched
    from glifcli.data import load_dataset
    from glifcli.device import DTYPES, choose_device, choose_precision
    from glifcli.memory import keep_freed
    from glifcli.models.time_steps import check_time_steps
    from glifcli.ops import choose_backend
    from glifcli.reports.judge import judge
    from glifcli.reports.plots import exits_plot
    from glifcli.reports.subject import BATCH_SIZE, load_subject
    from glifcli.reports.sweep_tables import early_exit_table, time_steps_table
    from glifcli.reports.sweeps import judge_early_exit, judge_time_steps
    from glifcli.reports.tables import energy_table, gates_table, layers_table, summary_table

    check_choice("--split", split, ("test", "validation", "train"))
    check_choice("--precision", precision or "auto", ("auto", *DTYPES))
    if batch_size is not None and batch_size < 1:
        raise GlifError(f"`--batch-size` is `{batch_size}`", "give 1 or more, such as `--batch-size 128`")
    asked = sweep.asked(time_steps, conductance, early_exit, plot)
    if plot is not None and plot == output:
        raise GlifError(f"`--plot` and `--output` are both `{plot}`", "give each its own file")
    for file in (output, plot):
        if file is not None:
            check_output(file, force=force)
    chosen = choose_device(device or "auto")
    path = find(checkpoint)
    metadata = read_metadata(path)
    for steps in asked.time_steps:
        check_time_steps(metadata.time_steps, steps, asked.conductance)
    precision = choose_precision(precision or as_trained(metadata, chosen), chosen)
    choose_backend(backend or "auto", chosen, DTYPES[precision])
    settings = data_settings(path, metadata, dataset, data_dir, download)
    options.check_data_dir(context, settings.dataset)
    data = load_dataset(settings, needed(split, settings))
    if split not in data.splits:
        raise DataError(f"the model was trained without a split `{split}` of `{data.name}`", "evaluate `--split test`")
    check_fit(metadata, data)
    keep_freed()
    subject = load_subject(
        path,
        data,
        split,
        device=str(chosen),
        precision=precision,
        backend=backend or "auto",
        batch_size=batch_size or BATCH_SIZE,
    )
    if len(asked.time_steps) == 1:
        subject = subject.at(asked.time_steps[0], asked.conductance)
    with watched("evaluating", quiet) as watch:
        if asked.thresholds:
            report = judge_early_exit(subject, asked.thresholds, watch=watch)
            tables = [early_exit_table(report)]
        elif len(asked.time_steps) > 1:
            report = judge_time_steps(subject, asked.time_steps, asked.conductance, watch=watch)
            tables = [time_steps_table(report)]
        else:
            report = judge(subject, watch=watch).json
            gates = gates_table(report["gates"]["layers"])
            tables = [summary_table(report), layers_table(report), energy_table(report), gates]
    if output is not None:
        write_output(output, json_text(report).encode(), force=force)
    if plot is not None:
        write_output(plot, exits_plot(report), force=force)
        note(f"drawn: {plot}", quiet=quiet)
    if json:
        answer_json(report)
    else:
        answer(*tables)
    sweep.check_accuracy(sweep.accuracies(report), min_accuracy)


def check_choice(flag: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises GlifError unless the flag has one of those values."""
    if value not in choices:
        raise GlifError(f"`{flag}` is `{value}`", nearest(value, choices))


def as_trained(metadata: "Metadata", device: "torch.device") -> str:
    """The precision that the model was trained in, bf16 only where this machine is made for it."""
    from glifcli.device import DTYPES, multiplies_bfloat16

    trained = str(metadata.made.get("precision", "auto"))
    if trained not in DTYPES:
        return "auto"
    return "fp32" if trained == "bf16" and not multiplies_bfloat16(device) else trained


def needed(split: str, settings: "Data") -> tuple[str, ...]:
    """The splits to load for one of them: a validation split is cut from the training images."""
    return ("train", "validation") if split == "validation" and settings.validation else (split,)


def data_settings(
    path: "Path", metadata: "Metadata", dataset: str | None, data_dir: str | None, download: bool
) -> "Data":
    """Where the images are: as the flags say, else as the run that the model lies in had them."""
    from glifcli import recipe as recipes
    from glifcli.data.names import DATASETS
    from glifcli.training.run import RECIPE

    made = metadata.made
    if dataset is None and "dataset" not in made:
        raise DataError(f"`{path}` does not say on which data set it was trained", "add `--dataset NAME`")
    if dataset is not None and dataset not in DATASETS:
        raise DataError(f"no data set `{dataset}`", nearest(dataset, DATASETS))
    beside = path.parent / RECIPE
    if data_dir is None and dataset in (None, made.get("dataset")) and beside.is_file():
        # A recipe that is damaged, or of another run, says nothing of this model's images.
        with contextlib.suppress(GlifError):
            trained = recipes.check(recipes.read(beside), f"`{beside}`").data
            data_dir = trained.data_dir if trained.dataset == made.get("dataset") else None
    settings = {
        "dataset": made["dataset"] if dataset is None else dataset,
        "data_dir": data_dir or "",
        "download": download,
        "validation": made.get("validation", 0),
        "split_seed": made.get("split_seed", 0),
        "resize": made.get("resize", 0),
        "image_size": metadata.image_size[0] if metadata.image_size[0] == metadata.image_size[1] else 0,
    }
    try:
        return recipes.check({"data": settings}, f"`{path}`").data
    except RecipeError as error:
        problems = "; ".join(error.problems)
        raise DataError(f"the data settings in `{path}` do not fit: {problems}", "train or save it anew") from None


def check_fit(metadata: "Metadata", data: "Dataset") -> None:
    """Raises DataError where the model was made for other images or classes."""
    if data.channels != metadata.in_channels:
        raise DataError(
            f"the images of `{data.name}` have {data.channels} channels, the model takes {metadata.in_channels}",
            f"give the data set it was trained on, `--dataset {metadata.made.get('dataset')}`",
        )
    if data.image_size != metadata.image_size:
        given, trained = (f"{height}x{width}" for height, width in (data.image_size, metadata.image_size))
        raise DataError(
            f"the images of `{data.name}` are {given}, the model was trained on {trained}",
            f"resize the images to {trained}",
        )
    if len(data.classes) != metadata.classes:
        raise DataError(
            f"`{data.name}` has {len(data.classes)} classes, the model {metadata.classes}",
            f"give the data set it was trained on, `--dataset {metadata.made.get('dataset')}`",
        )
    if metadata.class_names and data.classes != metadata.class_names:
        other = next((a, b) for a, b in zip(data.classes, metadata.class_names, strict=True) if a != b)
        raise DataError(
            f"the classes of `{data.name}` are not the model's: `{other[0]}` stands where it learned `{other[1]}`",
            "name the class folders as they were in training",
        )
