"""The tables of a recipe: types and bounds of every value."""

import dataclasses
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from glifcli.neurons.config import NeuronConfig

STRICT = ConfigDict(extra="forbid", strict=True)

Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, config=STRICT)
class Model:
    """The network: a name of the model registry and its settings."""

    name: str = "smallnet"
    width: Annotated[float, Field(gt=0, le=8)] = 1.0
    time_steps: Annotated[int, Field(ge=1, le=1024)] = 4


@dataclass(frozen=True, config=STRICT)
class Data:
    """Where the images come from and how they are split; `validation` is a share below 1 or a number of images.

    image_size: height and width that images are scaled and cropped to, 0 to leave them. resize: what the shorter side
    is scaled to before `image_size` is cut out of the centre, 0 to cut out as much as there is. normalisation: "auto"
    is the published one of the data set, or the measured one where there is none.
    """

    dataset: str = "digits"
    data_dir: str = ""
    download: bool = False
    validation: NonNegative = 0
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    image_size: Annotated[int, Field(ge=0)] = 0
    resize: Annotated[int, Field(ge=0)] = 0
    normalisation: Literal["auto", "imagenet"] = "auto"
    batch_size: Positive = 64
    workers: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, config=STRICT)
class Augment:
    """What happens to a training image; lengths are in pixels, `mixup` and `cutmix` are the Beta's alpha.

    random_resized_crop: a random box of at least that share of the image's area is scaled to its size; 0 for none.
    """

    crop_padding: Annotated[int, Field(ge=0)] = 0
    random_resized_crop: Annotated[float, Field(ge=0, le=1)] = 0.0
    flip: bool = False
    policy: Literal["none", "autoaugment", "randaugment", "trivialaugment"] = "none"
    cutout: Annotated[int, Field(ge=0)] = 0
    mixup: NonNegative = 0.0
    cutmix: NonNegative = 0.0


@dataclass(frozen=True, config=STRICT)
class Optim:
    """Stochastic gradient descent with momentum or AdamW, and the learning rate's course over the steps."""

    name: Literal["sgd", "adamw"] = "sgd"
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1
    momentum: Fraction = 0.9
    nesterov: bool = False
    weight_decay: NonNegative = 4e-5
    decay_norms: bool = True
    gate_lr_scale: NonNegative = 0.1
    clip_norm: NonNegative = 0.0
    schedule: Literal["cosine", "onecycle", "constant"] = "cosine"
    warmup_epochs: NonNegative = 0.0
    final_lr_scale: Annotated[float, Field(ge=0, le=1)] = 0.0


@dataclass(frozen=True, config=STRICT)
class Loss:
    """Cross-entropy of the mean logits, or of every time step's (TET, arXiv 2202.11946)."""

    label_smoothing: Fraction = 0.0
    tet: bool = False
    tet_lambda: Annotated[float, Field(ge=0, le=1)] = 1e-3


@dataclass(frozen=True, config=STRICT)
class Train:
    """The length and manner of the run.

    compile: hand the network to torch.compile, which takes a minute or more before the first step and needs a C++
    compiler; neurons whose backend is "auto" are then compiled too, as the plain PyTorch that the reference is.
    """

    epochs: Positive = 1
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp64"] = "auto"
    backend: str = "auto"
    compile: bool = False
    deterministic: bool = False
    ema: Fraction = 0.0
    save_minutes: Annotated[float, Field(gt=0)] = 10.0


@dataclass(frozen=True, config=STRICT)
class Recipe:
    """All that a training run depends on."""

    description: str = ""
    model: Model = dataclasses.field(default_factory=Model)
    neuron: NeuronConfig = dataclasses.field(default_factory=NeuronConfig)
    data: Data = dataclasses.field(default_factory=Data)
    augment: Augment = dataclasses.field(default_factory=Augment)
    optim: Optim = dataclasses.field(default_factory=Optim)
    loss: Loss = dataclasses.field(default_factory=Loss)
    train: Train = dataclasses.field(default_factory=Train)


def keys() -> list[str]:
    """Every key that a recipe may have, dotted."""
    found = []
    for field in dataclasses.fields(Recipe):
        nested = getattr(Recipe(), field.name)
        if dataclasses.is_dataclass(nested):
            found += [f"{field.name}.{inner.name}" for inner in dataclasses.fields(nested)]
        else:
            found.append(field.name)
    return found
