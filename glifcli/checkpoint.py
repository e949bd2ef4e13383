"""Model files: safetensors with one metadata key, `glif`, that holds all it takes to build the model again."""

import dataclasses
import json
import shlex
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from glifcli.errors import CheckpointError, ModelError, nearest
from glifcli.files import write_atomically
from glifcli.models.network import SpikingNetwork
from glifcli.models.registry import MODELS, ModelConfig, from_config
from glifcli.neurons.config import SETTINGS, NeuronConfig
from glifcli.neurons.glif import GLIF, GLIFf, initial_leak

FORMAT = 1
METADATA_KEY = "glif"
PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
BEST, LAST = "best.safetensors", "last.safetensors"


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What a model file says of its model.

    mean, std: of each channel, what images (0 to 1) are normalised with. image_size: height and width that it was
    trained on. class_names: empty where they are not known. made: how it was made (data set, split, epoch, seed,
    precision, version), for people and for `glif eval` to find the same data again. hidden: see ModelConfig.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    format: int
    architecture: str
    classes: int
    time_steps: int
    in_channels: int
    width: float
    neuron: NeuronConfig
    image_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]
    made: dict[str, Any]
    hidden: int | None = None

    def model_config(self) -> ModelConfig:
        """The configuration of the network."""
        return ModelConfig(
            self.architecture,
            self.classes,
            self.time_steps,
            self.in_channels,
            self.width,
            self.neuron,
            self.image_size,
            self.hidden,
        )

    @property
    def trained_time_steps(self) -> int:
        """The time steps that it was trained with, others than its own where it was converted."""
        return int(self.made.get("trained_time_steps", self.time_steps))

    def to_json(self) -> str:
        """The same metadata always as the same text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, ensure_ascii=False)


ADAPTER = TypeAdapter(Metadata)


def save(path: Path, state: dict[str, Tensor], metadata: Metadata) -> None:
    """Writes a model file, in one step. Raises SaveError; what stood at the path before is then still there."""
    write_atomically(path, content(state, metadata))


def content(state: dict[str, Tensor], metadata: Metadata) -> bytes:
    """The bytes of a model file."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    return safetensors.torch.save(tensors, {METADATA_KEY: metadata.to_json()})


def find(reference: str) -> Path:
    """The model file that a reference stands for: a file, or a run folder, whose best model counts, else its last.

    Raises CheckpointError where there is none.
    """
    path = Path(reference)
    if reference.startswith("hf://"):
        raise CheckpointError(
            f"`{reference}` is on the Hugging Face Hub, which this version does not read",
            "download its `model.safetensors` and give that file",
        )
    if path.is_dir():
        for name in (BEST, LAST):
            if (path / name).is_file():
                return path / name
        raise CheckpointError(
            f"the folder `{path}` holds no `{BEST}` and no `{LAST}`",
            f"`glif train --resume {path}` goes on with this run, which has not saved a model yet"
            if (path / "recipe.toml").is_file()
            else "give a run folder or a model file; `glif train` makes one",
        )
    if not path.exists():
        raise CheckpointError(f"no checkpoint `{reference}`", "give a model file or a run folder, such as `runs/…`")
    return path


def read_metadata(path: Path) -> Metadata:
    """The metadata of a model file; no tensor is read. Raises CheckpointError for what is not such a file."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise CheckpointError(
            f"cannot read the checkpoint `{path}`: {error.strerror}", "give a file that you may read"
        ) from None
    if not start:
        raise CheckpointError(f"the checkpoint `{path}` is empty", "give the file of a finished save, or train anew")
    if start.startswith(PICKLE_STARTS):
        raise CheckpointError(
            f"the checkpoint `{path}` is a pickle, which may run code when read; glif reads safetensors",
            f"`glif convert {shlex.quote(str(path))} model.safetensors` reads the weights of others, and runs none",
        )
    try:
        with safe_open(path, "pt") as opened:
            text = (opened.metadata() or {}).get(METADATA_KEY)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"the checkpoint `{path}` is damaged or not safetensors: {error}",
            "copy it again, or give another, such as the run's `last.safetensors`",
        ) from None
    if text is None:
        raise CheckpointError(
            f"`{path}` is safetensors, but not a glif model: it has no metadata `{METADATA_KEY}`",
            "give a file that `glif train` wrote",
        )
    return parse_metadata(text, path)


def parse_metadata(text: str, path: Path) -> Metadata:
    """Metadata from its JSON. Raises CheckpointError with every problem."""
    try:
        version = json.loads(text).get("format")
        if version != FORMAT:
            raise CheckpointError(
                f"`{path}` has the format {version}, this version reads {FORMAT}",
                "install the version that wrote it",
            )
        metadata = ADAPTER.validate_json(text)
        problems = contradictions(metadata)
    except ValidationError as error:
        problems = [f"`{'.'.join(map(str, e['loc']))}` {e['msg']}" for e in error.errors()]
    except (json.JSONDecodeError, AttributeError, RecursionError):
        raise CheckpointError(f"the metadata of `{path}` are not a JSON object", "train or save it anew") from None
    if problems:
        raise CheckpointError(f"the metadata of `{path}` do not fit: {'; '.join(problems)}", "train or save it anew")
    return metadata


def contradictions(metadata: Metadata) -> list[str]:
    """What no model can be built of, or no image normalised by."""
    problems = []
    if metadata.architecture not in MODELS:
        problems.append(f"`architecture` is `{metadata.architecture}`: {nearest(metadata.architecture, MODELS)}")
    if metadata.neuron.name not in SETTINGS:
        problems.append(f"`neuron.name` is `{metadata.neuron.name}`: {nearest(metadata.neuron.name, SETTINGS)}")
    sizes = {name: getattr(metadata, name) for name in ("classes", "time_steps", "in_channels")}
    problems += [f"`{name}` is `{size}`, below 1" for name, size in sizes.items() if size < 1]
    if not 0 < metadata.width <= 8:
        problems.append(f"`width` is `{metadata.width}`, not above 0 and up to 8")
    counts = {"class_names": metadata.classes, "mean": metadata.in_channels, "std": metadata.in_channels}
    lengths = {name: len(getattr(metadata, name)) for name in counts}
    problems += [
        f"`{name}` has {lengths[name]} entries, not {count}"
        for name, count in counts.items()
        if lengths[name] != count and not (name == "class_names" and lengths[name] == 0)
    ]
    if not all(0 < value < float("inf") for value in metadata.std):
        problems.append(f"`std` is `{list(metadata.std)}`, not all above 0")
    return problems


def load(path: Path, backend: str = "auto") -> tuple[SpikingNetwork, Metadata]:
    """The model, in eval mode on the CPU, and its metadata. Every tensor must fit. Raises CheckpointError."""
    metadata = read_metadata(path)
    config = metadata.model_config()
    # Without memory: a damaged file may claim any size, which its tensors then contradict.
    try:
        with torch.device("meta"):
            wanted = from_config(config).state_dict()
    except ModelError as error:
        raise CheckpointError(
            f"the metadata of `{path}` do not fit: {error.message}", "train or save it anew"
        ) from None
    try:
        state = safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"the checkpoint `{path}` is damaged: {error}", "copy it again") from None
    problems = misfits(wanted, state)
    if problems:
        raise CheckpointError(
            f"the weights of `{path}` do not fit `{metadata.architecture}`:\n"
            + "\n".join(f"  {line}" for line in shortened(problems)),
            "the file is of another architecture or version; give one that `glif train` wrote",
        )
    with torch.random.fork_rng(devices=[]):
        model = from_config(config, backend)
    model.load_state_dict(state)
    for _, neuron in model.neurons():
        if isinstance(neuron, GLIF | GLIFf):
            neuron.initial_leak = initial_leak(metadata.trained_time_steps)
    return model.eval(), metadata


def misfits(wanted: dict[str, Tensor], given: dict[str, Tensor]) -> list[str]:
    """A line for each tensor that is missing, unexpected, or of another shape or kind of number."""
    missing = [f"missing `{name}`" for name in wanted.keys() - given.keys()]
    unexpected = [f"unexpected `{name}`" for name in given.keys() - wanted.keys()]
    shapes = [
        f"`{name}` has shape {list(given[name].shape)}, the model {list(wanted[name].shape)}"
        for name in wanted.keys() & given.keys()
        if given[name].shape != wanted[name].shape
    ]
    kinds = [
        f"`{name}` holds {given[name].dtype}, the model {wanted[name].dtype}"
        for name in wanted.keys() & given.keys()
        if given[name].is_floating_point() != wanted[name].is_floating_point() or given[name].is_complex()
    ]
    return sorted(missing) + sorted(unexpected) + sorted(shapes) + sorted(kinds)


def shortened(lines: list[str], most: int = 10) -> list[str]:
    """The first lines, and how many more there are."""
    return lines if len(lines) <= most else [*lines[:most], f"and {len(lines) - most} more"]


def load_model(reference: str | Path) -> SpikingNetwork:
    """The model that a reference stands for, in eval mode on the CPU: a model file or a run folder.

    Raises CheckpointError for one that is missing, damaged, foreign or of another architecture.
    """
    return load(find(str(reference)))[0]
