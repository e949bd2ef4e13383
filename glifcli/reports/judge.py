"""One pass of a model over a split, with all that is reported of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from glifcli.checkpoint import load
from glifcli.data import Dataset, Normalisation, eval_batches
from glifcli.device import DTYPES, choose_device, choose_precision
from glifcli.ops import choose_backend
from glifcli.reports.document import evaluation_json
from glifcli.reports.evaluation import Evaluation, evaluate
from glifcli.reports.gates import LayerGates, gate_report

Batches = Iterable[tuple[Tensor, Tensor]]
Watch = Callable[[Batches, int], Batches]
# Evaluation keeps no gradients: smaller batches than this only cost time.
BATCH_SIZE = 128


@dataclass(frozen=True)
class Judgement:
    """An evaluation, the gates of its model, and the two as what `glif eval --json` prints."""

    evaluation: Evaluation
    gates: tuple[LayerGates, ...]
    json: dict[str, Any]


def judge(
    checkpoint: Path,
    dataset: Dataset,
    split: str,
    *,
    device: str,
    precision: str,
    backend: str,
    batch_size: int = BATCH_SIZE,
    watch: Watch = lambda batches, _: batches,
) -> Judgement:
    """Evaluates a model file on a split that the data set has, its images normalised as the file says.

    device, precision, backend: names, "auto" too. watch: is given the batches and their number and hands them on,
    so that the caller can draw progress. Raises CheckpointError, DataError, AnswerNo for logits that are not finite.
    """
    chosen = choose_device(device)
    precision = choose_precision(precision, chosen)
    model, metadata = load(checkpoint, backend)
    model.to(chosen)
    if precision == "fp64":
        model.double()
    images = dataset.splits[split]
    images.images.prepare()
    batches = eval_batches(images, Normalisation(metadata.mean, metadata.std), batch_size)
    watched = watch(batches, -(-len(images) // batch_size))
    evaluation = evaluate(model, watched, device=chosen, dtype=DTYPES[precision])
    gates = gate_report(model)
    report = evaluation_json(
        evaluation,
        gates,
        checkpoint=str(checkpoint),
        model=metadata.architecture,
        neuron=metadata.neuron.name,
        time_steps=metadata.time_steps,
        dataset=dataset.name,
        split=split,
        device=str(chosen),
        precision=precision,
        backend=choose_backend(backend, chosen, DTYPES[precision]),
    )
    return Judgement(evaluation, gates, report)
