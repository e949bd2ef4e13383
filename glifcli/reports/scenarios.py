"""How well a network does where images stop after some of its time steps, and at what cost.

One forward pass gives the logits of every step. A scenario says how many steps each image runs; its answer is then
the mean of that many steps' logits, and its cost that of the steps that ran. The spikes of a step do not depend on
later ones and, in eval mode, images not on each other, so cutting a pass afterwards equals having stopped in it.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from glifcli.models.network import SpikingNetwork
from glifcli.reports.inference import (
    Scores,
    batch_scores,
    check_images,
    check_labels,
    check_precision,
    eval_mode,
    first_frames,
    on_device,
    precision,
    ready,
)
from glifcli.reports.steps import Spent, StepCounter

# From the answers so far, [T, B, classes] (at t the mean logits of steps 1 to t), the steps that each image runs, [B].
Scenario = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Pass:
    """A network that every batch passes once, and the scenarios that are cut from that pass."""

    network: SpikingNetwork
    scenarios: tuple[Scenario, ...]


@dataclass(frozen=True)
class Outcome:
    """How one scenario went on that many images."""

    images: int
    scores: Scores
    spent: Spent


def fixed(time_steps: int) -> Scenario:
    """Every image runs that many time steps."""

    def steps(answers: Tensor) -> Tensor:
        return torch.full(answers.shape[1:2], time_steps, device=answers.device)

    return steps


def confident(threshold: float) -> Scenario:
    """Each image stops after the first step where the largest softmax probability of its answer is above `threshold`.

    At the last step it stops in any case; no probability is above 1, so with a threshold of 1 none stops earlier.
    """

    def steps(answers: Tensor) -> Tensor:
        above = answers.softmax(2).amax(2) > threshold
        above[-1] = True
        return above.int().argmax(0) + 1

    return steps


def run_scenarios(
    passes: Sequence[Pass], batches: Iterable[tuple[Tensor, Tensor]], *, device: torch.device, dtype: torch.dtype
) -> list[list[Outcome]]:
    """The outcomes of each pass's scenarios, in one go over the data; networks and batches as `evaluate` takes them.

    Of event frames a network sees the first, as many as it has time steps. Raises what `evaluate` raises, and
    DataError where there are fewer frames than time steps.
    """
    check_precision(dtype)
    images = 0
    # [batches of [S, 4]] of each pass.
    sums: list[list[Tensor]] = [[] for _ in passes]
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        for each in passes:
            stack.enter_context(eval_mode(each.network))
        networks = [ready(each.network, device, dtype) for each in passes]
        counters = [stack.enter_context(StepCounter(network)) for network in networks]
        for batch, (inputs, labels) in enumerate(batches, 1):
            if len(labels) == 0:
                continue
            check_labels(labels, networks[0].classes, batch)
            inputs, labels = on_device(inputs, device, dtype), labels.to(device)
            for index, (network, each) in enumerate(zip(networks, passes, strict=True)):
                with precision(device, dtype):
                    logits = network.sequence(first_frames(inputs, network.time_steps))
                answers = running_means(logits)
                steps = torch.stack([scenario(answers) for scenario in each.scenarios])
                counters[index].close_batch(steps)
                sums[index].append(torch.stack([batch_scores(answers_after(own, answers), labels) for own in steps]))
            images += len(labels)
        check_images(sums[0])
        results = []
        for each, counter, parts in zip(passes, counters, sums, strict=True):
            totals = torch.stack(parts, 1).cpu()
            ways = range(len(each.scenarios))
            results.append([Outcome(images, Scores.of(totals[way], images), counter.spent(way)) for way in ways])
        return results


def running_means(logits: Tensor) -> Tensor:
    """[T, B, classes]: at t the mean of the logits of steps 1 to t, to the bit what a network of t steps answers."""
    return torch.stack([logits[:step].mean(0) for step in range(1, len(logits) + 1)])


def answers_after(steps: Tensor, answers: Tensor) -> Tensor:
    """[B, classes]: each image's answer after its own number of steps, [B]."""
    return answers[steps - 1, torch.arange(len(steps), device=steps.device)]
