"""`glif eval`."""

from typing import Annotated

import typer

from glifcli.cli import options, sweep
from glifcli.cli.judged import as_trained, check_frames, judged_data
from glifcli.cli.output import answer, answer_json, check_output, json_text, note, write_output
from glifcli.errors import GlifError, nearest

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
    conductance: options.Conductance = None,
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
    data = judged_data(context, path, metadata, split, dataset, data_dir, download)
    if not asked.time_steps:
        check_frames(metadata, data)
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
