"""Several numbers of time steps, or several thresholds to stop at, judged in as few passes as it takes."""

from collections.abc import Iterable
from typing import Any

from glifcli.models.time_steps import passes, with_time_steps
from glifcli.reports.document import SCHEMA_VERSION
from glifcli.reports.latency import latencies
from glifcli.reports.scenarios import Outcome, Pass, confident, fixed, run_scenarios
from glifcli.reports.subject import Subject, Watch

# The thresholds of the curve beside a single one that was asked for.
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
# No probability is above it, so no image stops early.
NEVER = 1.0
# The costs of an image that a row tells.
COSTS = ("macs", "acs", "neuron_ops", "synaptic_operations", "energy_uj", "neuron_energy_uj", "ann_energy_uj")


def judge_time_steps(
    subject: Subject, time_steps: Iterable[int], conductance: str, *, watch: Watch = lambda batches, _: batches
) -> dict[str, Any]:
    """What `glif eval --time-steps 1,2,4 --json` prints: a row for each number of time steps, the least first.

    Latencies are measured, of one image. Raises what `judge` and `with_time_steps` raise.
    """
    networks = {steps: with_time_steps(subject.network, steps, conductance) for steps in sorted(set(time_steps))}
    groups = passes(networks.values())
    planned = [Pass(group[0], tuple(fixed(network.time_steps) for network in group)) for group in groups]
    results = run_scenarios(planned, subject.batches(watch), device=subject.device, dtype=subject.dtype)
    outcomes = {
        network.time_steps: outcome
        for group, of_group in zip(groups, results, strict=True)
        for network, outcome in zip(group, of_group, strict=True)
    }
    taken = latencies(networks, subject.one_image(), device=subject.device, dtype=subject.dtype)
    rows = [{"time_steps": steps, **_row(outcomes[steps]), "latency_ms": taken[steps]} for steps in networks]
    return {
        **_head(subject, outcomes.values()),
        "conductance": conductance,
        "trained_time_steps": subject.metadata.trained_time_steps,
        "time_steps": rows,
    }


def judge_early_exit(
    subject: Subject, asked: Iterable[float], *, watch: Watch = lambda batches, _: batches
) -> dict[str, Any]:
    """What `glif eval --early-exit 0.9 --json` prints: a row for each threshold, the last for one that never stops.

    asked: several thresholds are the rows; a single one is a row among those of THRESHOLDS. Raises what `judge`
    raises.
    """
    asked = sorted(set(asked))
    curve = THRESHOLDS if len(asked) == 1 else ()
    thresholds = sorted({*asked, *curve, NEVER})
    planned = Pass(subject.network, tuple(confident(threshold) for threshold in thresholds))
    (outcomes,) = run_scenarios([planned], subject.batches(watch), device=subject.device, dtype=subject.dtype)
    rows = [
        {
            "threshold": threshold,
            **_row(outcome),
            "mean_time_steps": outcome.spent.mean_time_steps,
            "exits": list(outcome.spent.stopped),
        }
        for threshold, outcome in zip(thresholds, outcomes, strict=True)
    ]
    return {
        **_head(subject, outcomes),
        "time_steps": subject.network.time_steps,
        "conductance": subject.conductance,
        "trained_time_steps": subject.metadata.trained_time_steps,
        "early_exit": {"asked": asked, "thresholds": rows},
    }


def _head(subject: Subject, outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """What every row shares: what was judged, where, and on how many images."""
    return {
        "schema_version": SCHEMA_VERSION,
        **subject.names(),
        "images": next(iter(outcomes)).images,
    }


def _row(outcome: Outcome) -> dict[str, Any]:
    """Accuracy, loss, firing and costs of a scenario, as a JSON object."""
    scores, spent = outcome.scores, outcome.spent
    return {
        "accuracy": {"top1": scores.top1, "top5": scores.top5},
        "loss": scores.loss,
        "firing_rate": spent.firing_rate,
        **{name: getattr(spent.operations, name) for name in COSTS},
    }
