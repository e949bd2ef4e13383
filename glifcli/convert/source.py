"""Weights of any of the formats as a network of ours."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors
import torch
from torch import Tensor

from glifcli import checkpoint
from glifcli.checkpoint import METADATA_KEY, Metadata
from glifcli.convert.keymap import renamed
from glifcli.convert.reading import is_safetensors, read_tensors
from glifcli.convert.recognise import recognise
from glifcli.errors import CheckpointError, GlifError
from glifcli.models.network import SpikingNetwork
from glifcli.models.registry import ModelConfig, from_config
from glifcli.neurons.base import THRESHOLD


@dataclass(frozen=True)
class Source:
    """A network that was read, in eval mode, and of what format; metadata where the file carries ours.

    keys: the number of the file's tensors that went into the network; left_out: that of those that a map left out,
    there being no others. conductance: how the
    network came to other time steps than those of the file.
    """

    network: SpikingNetwork
    config: ModelConfig
    format: str
    keys: int
    metadata: Metadata | None
    trained_time_steps: int
    left_out: int = 0
    conductance: str | None = None


def read_source(
    path: Path,
    *,
    model: str | None = None,
    names: Mapping[str, str] | None = None,
    like: ModelConfig | None = None,
) -> Source:
    """The network in a model file of ours, the authors' or SpikingJelly's.

    model: the name of the network, None to recognise it. names: what the file calls the parts, as `read_map` gives
    it. like: a network that it is the same as, where its shapes allow that. Raises CheckpointError for a file that is
    damaged, could run code or does not fit, and for weights that are not finite.
    """
    if path.is_file() and is_safetensors(path) and has_metadata(path):
        if model is not None or names is not None:
            raise GlifError(f"`{path}` is a model of ours and says what it is", "leave out `--model` and `--map`")
        network, metadata = checkpoint.load(path)
        check_finite(network.state_dict(), path)
        keys, trained = len(network.state_dict()), metadata.trained_time_steps
        return Source(network, metadata.model_config(), "glif", keys, metadata, trained)
    tensors = read_tensors(path)
    mapped = tensors if names is None else renamed(tensors, names, str(path))
    match = recognise(mapped, str(path), model, like)
    check_finite(mapped, path)
    state = {ours: mapped[theirs] for ours, theirs in match.keys.items()}
    for weight, threshold in match.norm_thresholds.items():
        # Ours scales to 0.5; what theirs has more or less goes into the weight.
        state[weight] = state[weight] * (mapped[threshold] / THRESHOLD)
    config = likened(match.config, like)
    with torch.random.fork_rng(devices=[]):
        network = from_config(config)
    network.load_state_dict(state)
    left_out = len(tensors) - len(mapped)
    return Source(network.eval(), config, match.format, len(mapped), None, config.time_steps, left_out)


def likened(config: ModelConfig, like: ModelConfig | None) -> ModelConfig:
    """The configuration with width and image size, which shapes tell only in part, of another of the same shapes."""
    if like is None or like.name != config.name:
        return config
    other = replace(config, width=like.width, image_size=like.image_size)
    with torch.device("meta"):
        shapes = [{k: v.shape for k, v in from_config(c).state_dict().items()} for c in (config, other)]
    return other if shapes[0] == shapes[1] else config


def has_metadata(path: Path) -> bool:
    """Whether a safetensors file is a model of ours."""
    try:
        with safetensors.safe_open(path, "pt") as opened:
            return METADATA_KEY in (opened.metadata() or {})
    except (safetensors.SafetensorError, OSError):
        return False


def check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raises CheckpointError, naming every tensor that holds a number that is not finite, or a variance below 0."""
    bad = [name for name, value in tensors.items() if not value.isfinite().all()]
    below = [name for name, value in tensors.items() if name.endswith("running_var") and (value < 0).any()]
    for what, names in (("not finite", bad), ("variances below 0", below)):
        if names:
            raise CheckpointError(
                f"the weights of `{path}` are {what}: {', '.join(f'`{name}`' for name in names)}",
                "the training diverged, or the file is damaged: give another checkpoint",
            )
