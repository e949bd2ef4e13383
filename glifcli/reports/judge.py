"""One pass of a model over a split, with all that is reported of it."""

from dataclasses import dataclass
from typing import Any

from glifcli.reports.document import evaluation_json
from glifcli.reports.evaluation import Evaluation, evaluate
from glifcli.reports.gates import LayerGates, gate_report
from glifcli.reports.subject import Subject, Watch


@dataclass(frozen=True)
class Judgement:
    """An evaluation, the gates of its model, and the two as what `glif eval --json` prints."""

    evaluation: Evaluation
    gates: tuple[LayerGates, ...]
    json: dict[str, Any]


def judge(subject: Subject, *, watch: Watch = lambda batches, _: batches) -> Judgement:
    """Evaluates a model on a split. Raises DataError, and AnswerNo for logits that are not finite."""
    evaluation = evaluate(subject.network, subject.batches(watch), device=subject.device, dtype=subject.dtype)
    gates = gate_report(subject.network)
    report = evaluation_json(evaluation, gates, time_steps=subject.network.time_steps, **subject.names())
    conductance = subject.conductance or subject.metadata.made.get("conductance")
    if conductance is not None:
        report |= {"trained_time_steps": subject.metadata.trained_time_steps, "conductance": conductance}
    return Judgement(evaluation, gates, report)
