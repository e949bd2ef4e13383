"""What a converted model file says of its model."""

from dataclasses import dataclass, replace
from typing import Any

from glifcli import __version__
from glifcli.checkpoint import FORMAT, Metadata
from glifcli.convert.source import Source
from glifcli.data import Dataset, Normalisation
from glifcli.errors import CheckpointError
from glifcli.models.registry import MODELS

# What a model file tells of time steps that are not those trained: how many those were, and `--conductance`.
TIME_STEPS = ("trained_time_steps", "conductance")


@dataclass(frozen=True)
class Training:
    """What images the authors trained a network on (data_builder.py and cifar10dvs/train.py of their code).

    dataset: the name of ours that reads them. resize: see recipe.Data.
    """

    dataset: str
    normalisation: Normalisation
    resize: int = 0


CIFAR10 = Training("cifar10", Normalisation((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)))
CIFAR100 = Training(
    "cifar100",
    Normalisation((129.3 / 255, 124.1 / 255, 112.4 / 255), (68.2 / 255, 65.4 / 255, 70.4 / 255)),
)
IMAGENET = Training("imagefolder", Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), resize=256)
EVENTS = Training("eventframes", Normalisation((0.0, 0.0), (1.0, 1.0)))

# By network and number of classes.
AUTHORS = {
    **{(name, 10): CIFAR10 for name in ("resnet19", "resnet18", "cifarnet")},
    **{(name, 100): CIFAR100 for name in ("resnet19", "resnet18", "cifarnet")},
    **{(name, 1000): IMAGENET for name in ("resnet34", "resnet18-ms", "resnet34-ms")},
    ("widenet7b", 10): EVENTS,
}


def authors_training(source: Source) -> Training | None:
    """What the authors trained such a network of theirs on, None for any other."""
    if source.format != "official":
        return None
    training = AUTHORS.get((source.config.name, source.config.classes))
    fits = training is not None and len(training.normalisation.mean) == source.network.in_channels
    return training if fits else None


@dataclass(frozen=True)
class Images:
    """What images a network is for: size (height, width), normalisation, class names where known, else empty."""

    size: tuple[int, int]
    normalisation: Normalisation
    class_names: tuple[str, ...]
    made: dict[str, Any]


def knows_images(source: Source, like: Metadata | None) -> bool:
    """Whether somebody but the data set tells what images the network is for."""
    return like is not None or source.metadata is not None or authors_training(source) is not None


def describe(source: Source, file: str, *, like: Metadata | None = None, dataset: Dataset | None = None) -> Metadata:
    """The metadata of the converted model; `file` is what it comes from.

    What images it is for is told by `like`, the metadata of a model of the same kind, or by the file; else the
    authors' code tells it of a network of theirs, else the data set. What nobody tells is left open: no class names,
    images from 0 to 1 as they are. Raises CheckpointError where `like` is of other channels or classes.
    """
    told = like or source.metadata
    images = open_images(source, dataset) if told is None else told_images(source, told)
    made = dict(images.made)
    if dataset is not None:
        made["dataset"] = dataset.name
    if told is None:
        # The authors and SpikingJelly train in float32.
        made |= {"glif": __version__, "converted_from": file, "format": source.format, "precision": "fp32"}
    if source.config.time_steps == source.trained_time_steps:
        made = {key: value for key, value in made.items() if key not in TIME_STEPS}
    elif source.conductance is not None:
        made |= dict(zip(TIME_STEPS, (source.trained_time_steps, source.conductance), strict=True))
    neuron = source.config.neuron
    if like is not None and like.neuron.name == neuron.name:
        neuron = replace(neuron, surrogate=like.neuron.surrogate, frozen_gates=like.neuron.frozen_gates)
    return Metadata(
        format=FORMAT,
        architecture=source.config.name,
        classes=source.config.classes,
        time_steps=source.config.time_steps,
        in_channels=source.network.in_channels,
        width=source.config.width,
        neuron=neuron,
        image_size=images.size if source.config.image_size is None else source.config.image_size,
        mean=images.normalisation.mean,
        std=images.normalisation.std,
        class_names=images.class_names if dataset is None else dataset.classes,
        made=made,
        hidden=source.config.hidden,
    )


def told_images(source: Source, told: Metadata) -> Images:
    """The images of another model, which must have the channels and classes of this one."""
    theirs, ours = (told.in_channels, told.classes), (source.network.in_channels, source.config.classes)
    if theirs != ours:
        raise CheckpointError(
            f"the model of `--like` takes {theirs[0]} channels and tells {theirs[1]} classes apart, the weights "
            f"{ours[0]} and {ours[1]}",
            "give a model of the same data set",
        )
    return Images(told.image_size, Normalisation(told.mean, told.std), told.class_names, told.made)


def open_images(source: Source, dataset: Dataset | None) -> Images:
    """The images of a file that says nothing of them."""
    training = authors_training(source)
    if training is not None and (dataset is None or dataset.name in (training.dataset, "imagefolder")):
        normalisation = training.normalisation
    elif dataset is not None and (dataset.published is not None or "train" in dataset.splits):
        normalisation = dataset.normalisation
    else:
        normalisation = Normalisation((0.0,) * source.network.in_channels, (1.0,) * source.network.in_channels)
    side = MODELS[source.config.name].image_size
    size = (side, side) if dataset is None else dataset.image_size
    made: dict[str, Any] = {} if training is None else {"dataset": training.dataset}
    if training is not None and training.resize:
        made["resize"] = training.resize
    return Images(size, normalisation, (), made)
