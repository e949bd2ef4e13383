"""Recipes: TOML in, frozen dataclasses out, every problem reported at once.

A recipe is all that a training run depends on. Types and bounds stand on the fields below; `read` takes
a file, `check` applies overrides such as `optim.lr=0.05` and checks the whole.
"""

import dataclasses
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from glifcli.errors import GlifError, RecipeError, nearest
from glifcli.neurons.config import SETTINGS, NeuronConfig, unread_settings

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


ADAPTER = TypeAdapter(Recipe)

# What a resumed run may be given anew: where it runs and where its images lie, not what it computes.
PLACE_KEYS = frozenset(
    {
        "data.data_dir",
        "data.download",
        "data.workers",
        "train.device",
        "train.backend",
        "train.compile",
        "train.save_minutes",
    }
)


def read(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, unchecked. Raises RecipeError, with the line, for one that is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"`{path}`", [f"not TOML: {error}"], "mend that line") from None
    except UnicodeDecodeError:
        raise RecipeError(f"`{path}`", ["not a text file in UTF-8"], "give a recipe in TOML") from None
    except OSError as error:
        raise GlifError(f"cannot read the recipe `{path}`: {error.strerror}", "`glif list` shows recipes") from None


def parse_set(assignment: str) -> tuple[str, Any]:
    """`optim.lr=0.05` as the key and its value in TOML; a value that is not TOML is taken as text."""
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise GlifError(f"`--set {assignment}` is not a key and a value", "write `--set optim.lr=0.05`")
    try:
        tables = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return key.strip(), text
    # Text with a line break can be TOML of several keys.
    return key.strip(), tables["value"] if len(tables) == 1 else text


def check(tables: Mapping[str, Any], source: str, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe of those tables, with dotted keys such as `optim.lr` overridden.

    Raises RecipeError with all that is wrong: unknown keys and names with the nearest known one, wrong types,
    values out of bounds.
    """
    merged = {key: dict(value) if isinstance(value, Mapping) else value for key, value in tables.items()}
    problems = []
    for dotted, value in (overrides or {}).items():
        *parents, leaf = dotted.split(".")
        table: Any = merged
        for parent in parents:
            table = table.setdefault(parent, {}) if isinstance(table, dict) else None
        if isinstance(table, dict):
            table[leaf] = value
        else:
            problems.append(unknown_key(dotted))
    try:
        recipe = ADAPTER.validate_json(json.dumps(merged, default=repr_of))
    except ValidationError as error:
        problems += [explain(dict(details)) for details in error.errors()]
        problems += name_problems(*(name_at(merged, *path) for path in NAMED))
    else:
        problems += name_problems(recipe.model.name, recipe.neuron.name, recipe.data.dataset)
        problems += combination_problems(recipe)
    if problems:
        raise RecipeError(source, problems, way_out(problems, source, overrides or {}))
    return recipe


def way_out(problems: Iterable[str], source: str, overrides: Iterable[str]) -> str:
    """What to change: an override where one is named among the problems, else the file."""
    text = "\n".join(problems)
    parts = {dotted: dotted.split(".") for dotted in overrides}
    blamed = [
        dotted
        for dotted, names in parts.items()
        if any(f"`{'.'.join(names[:count])}`" in text for count in range(1, len(names) + 1))
    ]
    if blamed:
        given = ", ".join(f"`{dotted}`" for dotted in blamed)
        return f"change the flag, `--set` or `GLIF_…` variable that gives {given}"
    return f"edit {source}; `glif train --dry-run` shows a recipe with every key"


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


def repr_of(value: object) -> dict[str, str]:
    """What a TOML date or time is checked as: of a type that no key has."""
    return {type(value).__name__: str(value)}


def unknown_key(dotted: str) -> str:
    """The problem of a key that no recipe has."""
    return f"unknown key `{dotted}`: {nearest_key(dotted)}"


def nearest_key(dotted: str) -> str:
    """The known key nearest to `dotted`: in its own table where that exists, by the last name alone elsewhere."""
    tables = {key.partition(".")[0] for key in keys()}
    table, _, leaf = dotted.partition(".")
    if table in tables:
        return nearest(dotted, [key for key in keys() if key.startswith(f"{table}.")] or keys())
    same_leaf = [key for key in keys() if key.rpartition(".")[2] == (leaf or table)]
    if same_leaf:
        return f"did you mean `{same_leaf[0]}`?"
    return nearest(dotted, keys() if leaf else tables)


def explain(details: Mapping[str, Any]) -> str:
    """One of pydantic's error records in our words."""
    dotted = ".".join(str(part) for part in details["loc"])
    if details["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return unknown_key(dotted)
    given = details["input"]
    if details["type"] == "literal_error" and isinstance(given, str):
        choices = [choice.strip("' ") for choice in details["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return f"`{dotted}` is `{given}`: {nearest(given, choices)}"
    message = details["msg"].replace("Input should", "it should").replace("an object", "a table")
    return f"`{dotted}` is `{json.dumps(given, default=str)}`: {message}"


NAMED = (("model", "name"), ("neuron", "name"), ("data", "dataset"))


def name_at(tables: Mapping[str, Any], table: str, key: str) -> str | None:
    """The text at that place of unchecked tables, None where there is none."""
    inner = tables.get(table)
    value = inner.get(key) if isinstance(inner, Mapping) else None
    return value if isinstance(value, str) else None


def name_problems(model: str | None, neuron: str | None, dataset: str | None) -> list[str]:
    """A problem for each name that no registry knows, with the nearest one that it does."""
    from glifcli.data.names import DATASETS
    from glifcli.models.names import NAMES

    known: Iterable[tuple[str, str | None, Iterable[str]]] = (
        ("model.name", model, NAMES),
        ("neuron.name", neuron, SETTINGS),
        ("data.dataset", dataset, DATASETS),
    )
    return [
        f"`{key}` is `{name}`: {nearest(name, names)}"
        for key, name, names in known
        if name is not None and name not in names
    ]


def combination_problems(recipe: Recipe) -> list[str]:
    """A problem for each setting that has no meaning beside the others."""
    problems = []
    if recipe.neuron.name in SETTINGS:
        problems += [
            f"`neuron.{setting}` has no meaning for the neuron `{recipe.neuron.name}`: remove it"
            for setting in unread_settings(recipe.neuron)
        ]
    if recipe.data.validation >= 1 and recipe.data.validation != int(recipe.data.validation):
        problems.append(
            f"`data.validation` is `{recipe.data.validation}`: give a share below 1 or a whole number of images"
        )
    if recipe.data.resize and not 0 < recipe.data.image_size <= recipe.data.resize:
        problems.append(
            f"`data.resize` is `{recipe.data.resize}`, of which `data.image_size` `{recipe.data.image_size}` cannot be "
            f"cut out: set `data.image_size` to 1 to {recipe.data.resize}"
        )
    if recipe.data.resize and recipe.data.dataset == "eventframes":
        problems.append(
            "`data.resize` has no meaning for `eventframes`, which are not cut: set `data.image_size` alone"
        )
    if recipe.augment.random_resized_crop and recipe.augment.crop_padding:
        problems.append(
            "`augment.crop_padding` has no meaning beside `augment.random_resized_crop`: remove one of them"
        )
    if recipe.optim.schedule == "onecycle" and recipe.optim.warmup_epochs:
        problems.append("`optim.warmup_epochs` has no meaning for the schedule `onecycle`, which warms up: remove it")
    if recipe.optim.nesterov and (recipe.optim.name != "sgd" or not recipe.optim.momentum):
        problems.append("`optim.nesterov` needs `optim.name` `sgd` and an `optim.momentum` above 0: remove it")
    if recipe.optim.schedule == "constant" and recipe.optim.final_lr_scale:
        problems.append("`optim.final_lr_scale` has no meaning for the schedule `constant`: remove it")
    if recipe.loss.tet_lambda != Loss().tet_lambda and not recipe.loss.tet:
        problems.append("`loss.tet_lambda` has no meaning without `loss.tet`: set `loss.tet=true`, or remove it")
    if recipe.optim.warmup_epochs > recipe.train.epochs:
        problems.append(
            f"`optim.warmup_epochs` is `{recipe.optim.warmup_epochs:g}`, more than the {recipe.train.epochs} epochs "
            "of `train.epochs`: lower it"
        )
    return problems


def to_toml(recipe: Recipe) -> str:
    """The recipe in full, every default written out."""
    return tomli_w.dumps(dataclasses.asdict(recipe))


def differences(one: Recipe, other: Recipe) -> list[str]:
    """The dotted keys, places aside, at which two recipes differ, each with both values."""
    a, b = (flat(recipe) for recipe in (one, other))
    return [f"`{key}`: `{a[key]}` and `{b[key]}`" for key in a if key not in PLACE_KEYS and a[key] != b[key]]


def flat(recipe: Recipe) -> dict[str, Any]:
    """Every value of a recipe by its dotted key."""
    tables = dataclasses.asdict(recipe)
    return {key: tables[key.partition(".")[0]][key.partition(".")[2]] if "." in key else tables[key] for key in keys()}
