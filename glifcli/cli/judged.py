"""Which data a model is judged on, and in which precision."""

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from glifcli.cli import options
from glifcli.errors import DataError, GlifError, RecipeError, nearest

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from glifcli.checkpoint import Metadata
    from glifcli.data import Dataset
    from glifcli.recipe import Data


def judged_data(
    context: typer.Context,
    path: "Path",
    metadata: "Metadata",
    split: str,
    dataset: str | None,
    data_dir: str | None,
    download: bool,
    *,
    size_known: bool = True,
    training: bool = False,
) -> "Dataset":
    """The data set that the options name, else the model's own, with that split loaded.

    Images are sized as the model's were, and keep their own size where that is not known. training: load the training
    images too. Raises DataError where the data set is not there or the model was made for other images or classes.
    """
    from glifcli.data import load_dataset

    settings = data_settings(path, metadata, dataset, data_dir, download)
    if not size_known:
        settings = replace(settings, image_size=0)
    options.check_data_dir(context, settings.dataset)
    data = load_dataset(settings, (*needed(split, settings), *(["train"] if training else [])))
    if split not in data.splits:
        raise DataError(f"the model was trained without a split `{split}` of `{data.name}`", "evaluate `--split test`")
    check_fit(metadata if size_known else replace(metadata, image_size=data.image_size), data)
    return data


def check_frames(metadata: "Metadata", data: "Dataset") -> None:
    """Raises DataError for event frames of another number than the model's time steps.

    More of them are no error for a model that was converted to fewer time steps: it sees the first.
    """
    fewer = metadata.time_steps < (data.time_steps or 0)
    if not (fewer and "trained_time_steps" in metadata.made):
        data.check_time_steps(metadata.time_steps)


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
            own_data(metadata),
        )
    if data.image_size != metadata.image_size:
        given, trained = (f"{height}x{width}" for height, width in (data.image_size, metadata.image_size))
        raise DataError(
            f"the images of `{data.name}` are {given}, the model was trained on {trained}",
            f"resize the images to {trained}",
        )
    if len(data.classes) != metadata.classes:
        some = ", ".join(data.classes[:5]) + (", …" if len(data.classes) > 5 else "")
        raise DataError(
            f"`{data.name}` has {len(data.classes)} classes ({some}), the model {metadata.classes}", own_data(metadata)
        )
    if metadata.class_names and data.classes != metadata.class_names:
        other = next((a, b) for a, b in zip(data.classes, metadata.class_names, strict=True) if a != b)
        raise DataError(
            f"the classes of `{data.name}` are not the model's: `{other[0]}` stands where it learned `{other[1]}`",
            "name the class folders as they were in training",
        )


def own_data(metadata: "Metadata") -> str:
    """What to give in place of data that do not fit."""
    own = metadata.made.get("dataset")
    if own in ("imagefolder", "eventframes"):
        return f"give the folder it was trained on, `--dataset {own} --data-dir FOLDER`"
    return f"give the data set it was trained on, `--dataset {own or 'NAME'}`"
