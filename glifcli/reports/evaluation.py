"""One pass over labelled data: accuracy, loss, speed, firing rates and operations."""

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from glifcli.models.network import SpikingNetwork
from glifcli.reports.firing import FiringCounter, FiringRates
from glifcli.reports.inference import (
    Scores,
    batch_scores,
    check_images,
    check_labels,
    check_precision,
    eval_mode,
    on_device,
    precision,
    ready,
)
from glifcli.reports.operations import OperationCounter, Operations


@dataclass(frozen=True)
class Evaluation:
    """top1, top5: fractions (with fewer than 5 classes top5 is 1). loss: mean cross-entropy per image.

    seconds: wall time of the whole pass, waiting for data and counting included.
    """

    images: int
    top1: float
    top5: float
    loss: float
    seconds: float
    images_per_second: float
    firing_rate: FiringRates
    operations: Operations | None


def evaluate(
    model: SpikingNetwork,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    device: torch.device,
    dtype: torch.dtype,
    operations: bool = True,
) -> Evaluation:
    """Evaluates `model`, which is on `device`, in eval mode; then its modules are in their earlier modes.

    Where its neurons run on a fused backend a folded copy is evaluated (`models/folding.py`), else itself.

    batches: (images [B, C, H, W] or event frames [B, T, C, H, W], labels [B]).
    dtype: float32; bfloat16 or float16, by autocast; float64, for a float64 model.

    Raises GlifError where no image came or a dtype or label does not fit, and AnswerNo, naming the first such
    batch, where logits are not finite: an accuracy of such logits would say nothing.
    """
    check_precision(dtype)
    start = time.perf_counter()
    images = 0
    sums: list[Tensor] = []
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        stack.enter_context(eval_mode(model))
        model = ready(model, device, dtype)
        firing = stack.enter_context(FiringCounter(model))
        synapses = stack.enter_context(OperationCounter(model)) if operations else None
        for batch, (inputs, labels) in enumerate(batches, 1):
            if len(labels) == 0:
                continue
            check_labels(labels, model.classes, batch)
            with precision(device, dtype):
                logits = model(on_device(inputs, device, dtype))
            sums.append(batch_scores(logits, labels.to(device)))
            images += len(labels)
        check_images(sums)
        # The one moment that waits for the device: until here nothing was read back.
        totals = torch.stack(sums).cpu()
        seconds = time.perf_counter() - start
        scores = Scores.of(totals, images)
        return Evaluation(
            images=images,
            top1=scores.top1,
            top5=scores.top5,
            loss=scores.loss,
            seconds=seconds,
            images_per_second=images / seconds,
            firing_rate=firing.rates(),
            operations=synapses.operations(firing.spikes()) if synapses else None,
        )
