"""What rounding the gates of a network costs on a data set."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from glifcli.data import Dataset, Normalisation, eval_batches
from glifcli.models.network import SpikingNetwork
from glifcli.reports.evaluation import evaluate
from glifcli.reports.judge import BATCH_SIZE

Batches = Iterable[tuple[Tensor, Tensor]]


def measured(
    network: SpikingNetwork,
    data: Dataset,
    normalisation: Normalisation,
    watch: Callable[[Batches, int], Batches],
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, float]:
    """Accuracy, loss, firing rate and energy (microjoules an image) on the test images.

    watch: is given the batches and their number and hands them on. Raises DataError, AnswerNo for logits that are
    not finite.
    """
    split = data.splits["test"]
    split.images.prepare()
    batches = watch(eval_batches(split, normalisation, BATCH_SIZE), -(-len(split) // BATCH_SIZE))
    evaluation = evaluate(network.to(device), batches, device=device, dtype=dtype)
    assert evaluation.operations is not None
    return {
        "top1": evaluation.top1,
        "loss": evaluation.loss,
        "firing_rate": evaluation.firing_rate.network,
        "energy_uj": evaluation.operations.energy_uj,
    }
