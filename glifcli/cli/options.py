"""The options that commands share: one name and one meaning each."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from glifcli.errors import GlifError


def complete_recipe(incomplete: str) -> Iterable[str]:
    """Recipe names of the zoo that begin like that, for shell completion."""
    from glifcli.zoo import recipes

    return [name for name in recipes() if name.startswith(incomplete)]


def complete_dataset(incomplete: str) -> Iterable[str]:
    """Data set names that begin like that, for shell completion."""
    from glifcli.data.names import DATASETS

    return [name for name in DATASETS if name.startswith(incomplete)]


def setting(flag: str, text: str, **more: Any) -> Any:
    """An option for a value, which the variable GLIF_<NAME> can give too."""
    name = flag.removeprefix("--").replace("-", "_").upper()
    return typer.Option(flag, help=text, envvar=f"GLIF_{name}", show_default=False, **more)


DataDir = Annotated[
    str | None, setting("--data-dir", "Folder of the images; or of the downloaded data set.", metavar="DIR")
]
DatasetName = Annotated[
    str | None,
    setting("--dataset", "Data set; `glif list` shows them.", metavar="NAME", autocompletion=complete_dataset),
]
Download = Annotated[bool, typer.Option("--download", help="Download the data set where it is missing.")]
BatchSize = Annotated[int | None, setting("--batch-size", "Images a batch.", metavar="N")]
Epochs = Annotated[int | None, setting("--epochs", "Epochs to train.", metavar="N")]
TimeSteps = Annotated[int | None, setting("--time-steps", "Time steps of the network.", metavar="N")]
Conductance = Annotated[
    str | None,
    typer.Option(
        "--conductance",
        help="What goes by time step, at other --time-steps: hold (the last repeated), first, linear or mean.",
        metavar="NAME",
        show_default=False,
    ),
]
Device = Annotated[str | None, setting("--device", "auto, cpu, cuda, cuda:1, mps, …", metavar="NAME")]
Precision = Annotated[str | None, setting("--precision", "auto, fp32, bf16 or fp64.", metavar="NAME")]
Backend = Annotated[str | None, setting("--backend", "auto, or a backend of `glif env`.", metavar="NAME")]
Seed = Annotated[int | None, setting("--seed", "Seeds everything.", metavar="N")]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any value of the recipe, as in `optim.lr=0.05`; wins over all else; repeatable.",
        metavar="KEY=VALUE",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on stderr but errors.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
OutputFile = Annotated[Path | None, typer.Option("--output", help="Write the JSON report to a file too.")]


def given(**values: Any) -> dict[str, Any]:
    """The recipe keys that options set: `data__batch_size=32` as `data.batch_size`, None and False left out."""
    return {key.replace("__", "."): value for key, value in values.items() if value is not None and value is not False}


def from_environment(context: typer.Context, name: str) -> bool:
    """Whether a GLIF_ variable gave that parameter its value."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "ENVIRONMENT"


def check_data_dir(context: typer.Context, dataset: str) -> None:
    """Raises GlifError for a `--data-dir` typed beside a data set that reads no folder."""
    folder = context.params.get("data_dir")
    if folder is not None and dataset == "digits" and not from_environment(context, "data_dir"):
        raise GlifError(
            f"`--data-dir {folder}` has no meaning for the data set `digits`, which reads no folder",
            f"add `--dataset imagefolder` to read the images in `{folder}`",
        )
