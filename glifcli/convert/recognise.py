"""Which of our networks a state dict is of, by its keys and shapes alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from glifcli.checkpoint import misfits
from glifcli.convert.names import GLIF, Dialect
from glifcli.convert.official import official
from glifcli.convert.sizes import plain_network, sized
from glifcli.convert.spikingjelly import SPIKINGJELLY
from glifcli.errors import CheckpointError
from glifcli.models.registry import MODELS, ModelConfig, from_config

# Names of a network in the paper's form differ from those of another neuron or head by less than this share.
MARGIN = 0.3


@dataclass(frozen=True)
class Match:
    """A network, the format whose names it was compared by, and what of the state dict does not fit it.

    keys: our key of each tensor to the file's. norm_thresholds: see `Dialect`. alike: share of the names that the
    network and the file have in common.
    """

    config: ModelConfig
    format: str
    keys: dict[str, str]
    norm_thresholds: dict[str, str]
    problems: list[str]
    alike: float


def recognise(
    tensors: Mapping[str, Tensor], source: str, model: str | None = None, like: ModelConfig | None = None
) -> Match:
    """The network whose tensors these are, all of them.

    model: the name that it must have. like: decides between networks that differ in no shape. Raises CheckpointError
    with every tensor that is missing, unexpected or of another shape, held against the network that comes nearest,
    and for tensors that could be several networks'.
    """
    candidates = comparisons(tensors, model)
    whole = [match for match in candidates if not match.problems]
    if len(whole) > 1 and like is not None:
        whole = [match for match in whole if match.config.name == like.name] or whole
    if len(whole) > 1:
        names = [f"`{match.config.name}`" for match in whole]
        raise CheckpointError(
            f"`{source}` could be {' or '.join(names)}: all names and shapes are the same",
            f"say which, such as `--model {whole[0].config.name}`",
        )
    return whole[0] if whole else refuse(tensors, source, model, candidates)


def comparisons(tensors: Mapping[str, Tensor], model: str | None) -> list[Match]:
    """The tensors held against every network, or that one, in every format, as far as names are near enough."""
    known = [
        (name, dialect)
        for name in ([model] if model else MODELS)
        for dialect in (official(name), SPIKINGJELLY, GLIF)
        if dialect is not None
    ]
    alike = [similarity(tensors, dialect.keys(plain_network(name)).values()) for name, dialect in known]
    near = [names for names, share in zip(known, alike, strict=True) if share >= max(alike) - MARGIN]
    return [compare(tensors, *names) for names in near]


def similarity(tensors: Mapping[str, Tensor], names: Iterable[str]) -> float:
    """The share of the names, the tensors' and those, that are in both."""
    wanted = set(names)
    return len(wanted & tensors.keys()) / len(wanted | tensors.keys())


def compare(tensors: Mapping[str, Tensor], name: str, dialect: Dialect) -> Match:
    """That network, sized after the tensors, held against them."""
    config = sized(tensors, name, dialect)
    with torch.device("meta"):
        network = from_config(config)
    keys, thresholds = dialect.keys(network), dialect.norm_thresholds(network)
    wanted = {keys[ours]: value for ours, value in network.state_dict().items()}
    wanted |= dict.fromkeys(thresholds.values(), torch.empty((), device="meta"))
    alike = similarity(tensors, wanted)
    return Match(config, dialect.name, keys, thresholds, misfits(wanted, dict(tensors)), alike)


def refuse(tensors: Mapping[str, Tensor], source: str, model: str | None, candidates: list[Match]) -> Match:
    """Raises CheckpointError with all that does not fit."""
    best = max(candidates, key=lambda match: (match.alike, -len(match.problems)))
    if model is not None:
        others = [match for match in comparisons(tensors, None) if not match.problems]
        if others:
            raise CheckpointError(
                f"`{source}` is not of `{model}` but of `{others[0].config.name}`, in the format `{others[0].format}`",
                "leave out `--model`",
            )
    counts = {kind: sum(line.startswith(kind) for line in best.problems) for kind in ("missing", "unexpected")}
    counts["of another shape or kind"] = len(best.problems) - sum(counts.values())
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    lines = "\n".join(f"  {problem}" for problem in best.problems)
    what = "does not fit" if model else "fits no network; nearest is"
    known = f"`{source}` {what} `{best.config.name}`, by the names of the format `{best.format}`"
    raise CheckpointError(f"{known}: {told}\n{lines}", hint(best))


def hint(best: Match) -> str:
    """What may mend it: of names that are nearly all right the file itself, of others a map."""
    if best.alike > 0.8:
        return (
            "the file is damaged, or of a variant that is not known; `--map` renames single tensors or leaves them out"
        )
    return "say with `--map` what its parts are called here; `glif list` shows the networks"
