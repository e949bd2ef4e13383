"""What rounding the gates of a network costs on a data set."""

import copy
from pathlib import Path

import torch

from glifcli.checkpoint import Metadata
from glifcli.data import Dataset
from glifcli.device import DTYPES
from glifcli.models.network import SpikingNetwork
from glifcli.ops import choose_backend
from glifcli.reports.evaluation import evaluate
from glifcli.reports.subject import BATCH_SIZE, Subject, Watch


def as_subject(
    path: Path, network: SpikingNetwork, metadata: Metadata, data: Dataset, *, device: torch.device, precision: str
) -> Subject:
    """A copy of a network that is in no file yet, to be judged on the test images."""
    backend = choose_backend("auto", device, DTYPES[precision])
    network = copy.deepcopy(network).to(device)
    if precision == "fp64":
        network.double()
    return Subject(path, network, metadata, data, "test", device, precision, backend, BATCH_SIZE)


def measured(subject: Subject, watch: Watch) -> dict[str, float]:
    """Accuracy, loss, firing rate and energy (microjoules an image). Raises what `evaluate` does."""
    evaluation = evaluate(subject.network, subject.batches(watch), device=subject.device, dtype=subject.dtype)
    assert evaluation.operations is not None
    return {
        "top1": evaluation.top1,
        "loss": evaluation.loss,
        "firing_rate": evaluation.firing_rate.network,
        "energy_uj": evaluation.operations.energy_uj,
    }
