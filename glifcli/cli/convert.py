"""`glif convert`."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glifcli.cli import options
from glifcli.cli.judged import as_trained, check_frames, judged_data
from glifcli.cli.output import answer, answer_json, check_output, note, write_output
from glifcli.errors import GlifError, nearest

if TYPE_CHECKING:
    from glifcli.checkpoint import Metadata

EXAMPLES = (
    "[bold]glif convert resCifar18stand-CIFAR10-step6-CW.pth.tar resnet18.safetensors[/]\n\n"
    "[bold]glif convert runs/first at-6.safetensors --time-steps 6 --conductance linear[/]\n\n"
    "[bold]glif convert runs/first spikingjelly.pth --to spikingjelly[/]"
)


def convert(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="The authors', SpikingJelly's or our weights.", metavar="SRC")],
    target: Annotated[Path, typer.Argument(help="The file to write.", metavar="DST")],
    model: Annotated[
        str | None,
        typer.Option("--model", help="The network, instead of recognising it.", metavar="NAME", show_default=False),
    ] = None,
    key_map: Annotated[
        Path | None,
        typer.Option(
            "--map",
            help='TOML with a table `keys`, a line a name in the file and ours: `"sn1" = "stem.neuron"`.',
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    to: Annotated[str, typer.Option("--to", help="glif or spikingjelly.", metavar="FORMAT")] = "glif",
    time_steps: Annotated[
        int | None,
        typer.Option("--time-steps", help="Time steps, others than trained.", metavar="N", show_default=False),
    ] = None,
    conductance: options.Conductance = None,
    harden_gates: Annotated[
        bool, typer.Option("--harden-gates", help="Round the gates to 0 or 1; with a data set, say what it costs.")
    ] = False,
    like: Annotated[
        str | None,
        typer.Option(
            "--like",
            help="A model of ours, for the same images: takes over data set, normalisation, class names.",
            metavar="REF",
            show_default=False,
        ),
    ] = None,
    dataset: options.DatasetName = None,
    data_dir: options.DataDir = None,
    download: options.Download = False,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make a model of the authors' or SpikingJelly's weights; change time steps; round gates.

    Network, classes, time steps and neurons are recognised by names and shapes. Every tensor is used, or the command
    says which one is not and writes nothing.
    """
    from glifcli import checkpoint
    from glifcli.cli.progress import watched
    from glifcli.convert.changes import at_time_steps, hardened
    from glifcli.convert.cost import as_subject, measured
    from glifcli.convert.keymap import read_map
    from glifcli.convert.metadata import describe, knows_images
    from glifcli.convert.source import read_source
    from glifcli.convert.tables import conversion_table, cost_table, hardening_table
    from glifcli.convert.writing import file_content
    from glifcli.device import choose_device, choose_precision
    from glifcli.memory import keep_freed
    from glifcli.models.names import NAMES

    asked = {"dataset": dataset, "data_dir": data_dir}
    check_target(target, to)
    check_output(target, force=force)
    if model is not None and model not in NAMES:
        raise GlifError(f"no model `{model}`", nearest(model, NAMES))
    if conductance is not None and time_steps is None:
        raise GlifError(f"`--conductance {conductance}` has no meaning without `--time-steps`", "add `--time-steps N`")
    path = checkpoint.find(source)
    if target.exists() and target.samefile(path):
        raise GlifError(f"`{target}` is the file to convert, which would be lost", "give another DST")
    told = None if like is None else checkpoint.read_metadata(checkpoint.find(like))
    found = read_source(
        path,
        model=model,
        names=None if key_map is None else read_map(key_map),
        like=None if told is None else told.model_config(),
    )
    if time_steps is not None:
        found = at_time_steps(found, time_steps, conductance or "hold")
    data = None
    if any(value and not options.from_environment(context, name) for name, value in asked.items()):
        known, metadata = knows_images(found, told), describe(found, path.name, like=told)
        data = judged_data(
            context,
            path,
            metadata,
            "test",
            dataset,
            data_dir,
            download,
            size_known=known or found.config.image_size is not None,
            training=not known,
        )
        check_frames(metadata, data)
    soft = found
    hardening: dict[str, Any] | None = None
    if harden_gates:
        found, roundings = hardened(soft)
        hardening = {"gates": [asdict(rounding) for rounding in roundings]}
    metadata = describe(found, path.name, like=told, dataset=data)
    if hardening is not None and data is not None:
        device = choose_device("auto")
        precision = choose_precision(as_trained(metadata, device), device)
        keep_freed()
        hardening["dataset"] = data.name
        for name, network in (("before", soft.network), ("after", found.network)):
            subject = as_subject(path, network, metadata, data, device=device, precision=precision)
            with watched(f"evaluating {name} rounding", quiet) as watch:
                hardening[name] = measured(subject, watch)
    write_output(target, file_content(found.network, metadata, to, target.suffix.lower()), force=force)
    report = {
        "source": str(path),
        "format": found.format,
        "model": metadata.architecture,
        "time_steps": metadata.time_steps,
        "classes": metadata.classes,
        "neuron": metadata.neuron.name,
        "output": str(target),
        "keys": found.keys,
        "left_out": found.left_out,
        "to": to,
        "share": metadata.neuron.share,
        "width": metadata.width,
        "trained_time_steps": found.trained_time_steps,
        "dataset": metadata.made.get("dataset"),
        "mean": list(metadata.mean),
        "std": list(metadata.std),
        "hardening": hardening,
    }
    if json:
        answer_json(report)
        return
    answer(conversion_table(report))
    if hardening is not None:
        answer(hardening_table(hardening), *([] if data is None else [cost_table(hardening)]))
    if to == "glif":
        note(what_next(target, metadata, data_dir), quiet=quiet)


def check_target(target: Path, to: str) -> None:
    """Raises GlifError for a format that there is not, and for a file name that says another one."""
    from glifcli.convert.writing import FORMATS, PICKLE_SUFFIXES

    if to not in FORMATS:
        raise GlifError(f"`--to` is `{to}`", nearest(to, FORMATS))
    if to == "glif" and target.suffix.lower() in PICKLE_SUFFIXES:
        raise GlifError(
            f"`{target}` is the name of a pickle, and a model of ours is safetensors",
            f"write `{target.name.partition('.')[0]}.safetensors`",
        )


def what_next(target: Path, metadata: "Metadata", data_dir: str | None) -> str:
    """The command that evaluates the model, and what has to be said there."""
    command = f"next: glif eval --checkpoint {shlex.quote(str(target))}"
    dataset = metadata.made.get("dataset")
    if dataset in ("imagefolder", "eventframes"):
        return f"{command} --data-dir {'FOLDER' if data_dir is None else shlex.quote(data_dir)}"
    if dataset is not None:
        return command
    return (
        f"{command} --dataset NAME; nothing says how the images were normalised, so they are taken from 0 to 1 as they "
        "are: `--like` or `--dataset` tells `glif convert` more"
    )
