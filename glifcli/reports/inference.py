"""What every pass over labelled data shares: the network made ready, the batch on its device, answers scored."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glifcli.errors import AnswerNo, DataError, GlifError
from glifcli.models.folding import folded
from glifcli.models.network import SpikingNetwork
from glifcli.ops import choose_backend

PRECISIONS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


@dataclass(frozen=True)
class Scores:
    """top1, top5: fractions (with fewer than 5 classes top5 is 1). loss: mean cross-entropy per image."""

    top1: float
    top5: float
    loss: float

    @classmethod
    def of(cls, totals: Tensor, images: int) -> Self:
        """The scores of `images` images from the `batch_scores` [batches, 4], on the CPU.

        Raises AnswerNo, naming the first such batch, where logits are not finite: an accuracy of such logits would
        say nothing.
        """
        loss, top1, top5, not_finite = totals.double().unbind(1)
        if not_finite.any():
            first = int(not_finite.nonzero()[0]) + 1
            raise AnswerNo(
                f"the logits of batch {first} of {len(totals)} are not finite",
                "the weights or the input overflow: try `--precision fp32`, or train at a lower `optim.lr`",
            )
        return cls(top1.sum().item() / images, top5.sum().item() / images, loss.sum().item() / images)


def ready(model: SpikingNetwork, device: torch.device, dtype: torch.dtype) -> SpikingNetwork:
    """A folded copy (`models/folding.py`) where all neurons run on a fused backend, else the model itself."""
    backends = (choose_backend(neuron.backend, device, dtype) for _, neuron in model.neurons())
    return model if "reference" in backends else folded(model)


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


def precision(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Autocast where the dtype is one of 16 bits."""
    return torch.autocast(device.type, dtype) if dtype.itemsize == 2 else nullcontext()


def check_precision(dtype: torch.dtype) -> None:
    """Raises GlifError for a dtype that no network is evaluated in."""
    if dtype not in PRECISIONS:
        raise GlifError(f"no evaluation in `{dtype}`", "give float32, bfloat16, float16 or float64")


def on_device(inputs: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The batch on the device, images in channels_last; under autocast the input itself stays in float32."""
    inputs = inputs.to(device, dtype if dtype.itemsize > 2 else torch.float32, non_blocking=True)
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.dim() == 4 else inputs


def first_frames(inputs: Tensor, time_steps: int) -> Tensor:
    """The first event frames of [B, T, C, H, W], as many as there are time steps; images [B, C, H, W] as they are.

    Raises DataError where the frames are fewer.
    """
    if inputs.dim() != 5:
        return inputs
    if inputs.shape[1] < time_steps:
        raise DataError(
            f"the data has `{inputs.shape[1]}` event frames an image, `{time_steps}` time steps need as many",
            f"give at most {inputs.shape[1]} time steps",
        )
    return inputs[:, :time_steps]


def batch_scores(logits: Tensor, labels: Tensor) -> Tensor:
    """[4] of a batch: cross-entropy summed, images right in the first and the first five, 1 if not finite."""
    logits = logits if logits.itemsize > 2 else logits.float()
    ranked = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
    loss = F.cross_entropy(logits, labels, reduction="sum")
    counts = [ranked[:, 0].sum(), ranked.sum(), ~logits.isfinite().all()]
    return torch.stack([loss, *(count.to(loss.dtype) for count in counts)])


def check_images(batches: Sequence[Tensor]) -> None:
    """Raises DataError where no batch was scored."""
    if not batches:
        raise DataError("there is no image to evaluate on", "name a split or a folder that holds images")


def check_labels(labels: Tensor, classes: int, batch: int) -> None:
    """Raises DataError, with the number of the batch, for a label that the network has no class for."""
    low, high = labels.aminmax()
    if low < 0 or high >= classes:
        raise DataError(
            f"batch {batch} has labels {int(low)} to {int(high)}, the network classes 0 to {classes - 1}",
            "evaluate on the data set that the network was trained on",
        )
