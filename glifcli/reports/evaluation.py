"""One pass over labelled data: accuracy, loss, speed, firing rates and operations."""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glifcli.errors import AnswerNo, DataError, GlifError
from glifcli.models.folding import folded
from glifcli.models.network import SpikingNetwork
from glifcli.ops import choose_backend
from glifcli.reports.firing import FiringCounter, FiringRates
from glifcli.reports.operations import OperationCounter, Operations

PRECISIONS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


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
    if dtype not in PRECISIONS:
        raise GlifError(f"no evaluation in `{dtype}`", "give float32, bfloat16, float16 or float64")
    start = time.perf_counter()
    images = 0
    sums: list[Tensor] = []
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        stack.enter_context(eval_mode(model))
        if all(choose_backend(neuron.backend, device, dtype) != "reference" for _, neuron in model.neurons()):
            model = folded(model)
        firing = stack.enter_context(FiringCounter(model))
        synapses = stack.enter_context(OperationCounter(model)) if operations else None
        for batch, (inputs, labels) in enumerate(batches, 1):
            if len(labels) == 0:
                continue
            _check_labels(labels, model.classes, batch)
            with _precision(device, dtype):
                logits = model(_to(inputs, device, dtype))
            sums.append(_sums(logits, labels.to(device)))
            images += len(labels)
        if images == 0:
            raise DataError("there is no image to evaluate on", "name a split or a folder that holds images")
        # The one moment that waits for the device: until here nothing was read back.
        loss, top1, top5, not_finite = torch.stack(sums).cpu().double().unbind(1)
        seconds = time.perf_counter() - start
        if not_finite.any():
            first = int(not_finite.nonzero()[0]) + 1
            raise AnswerNo(
                f"the logits of batch {first} of {len(sums)} are not finite",
                "the weights or the input overflow: try `--precision fp32`, or train at a lower `optim.lr`",
            )
        return Evaluation(
            images=images,
            top1=top1.sum().item() / images,
            top5=top5.sum().item() / images,
            loss=loss.sum().item() / images,
            seconds=seconds,
            images_per_second=images / seconds,
            firing_rate=firing.rates(),
            operations=synapses.operations(firing.spikes()) if synapses else None,
        )


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode inside; outside, each module is in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _precision(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    return torch.autocast(device.type, dtype) if dtype.itemsize == 2 else nullcontext()


def _to(inputs: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The batch on the device, images in channels_last; under autocast the input itself stays in float32."""
    inputs = inputs.to(device, dtype if dtype.itemsize > 2 else torch.float32, non_blocking=True)
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.dim() == 4 else inputs


def _sums(logits: Tensor, labels: Tensor) -> Tensor:
    """[4] of a batch: cross-entropy summed, images right in the first and the first five, 1 if not finite."""
    logits = logits if logits.itemsize > 2 else logits.float()
    ranked = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
    loss = F.cross_entropy(logits, labels, reduction="sum")
    counts = [ranked[:, 0].sum(), ranked.sum(), ~logits.isfinite().all()]
    return torch.stack([loss, *(count.to(loss.dtype) for count in counts)])


def _check_labels(labels: Tensor, classes: int, batch: int) -> None:
    low, high = labels.aminmax()
    if low < 0 or high >= classes:
        raise DataError(
            f"batch {batch} has labels {int(low)} to {int(high)}, the network classes 0 to {classes - 1}",
            "evaluate on the data set that the network was trained on",
        )
