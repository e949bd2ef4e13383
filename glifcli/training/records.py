"""What a run writes of itself: a line of metrics an epoch, and the metadata of its model files."""

from collections.abc import Mapping
from typing import Any

import torch

from glifcli import __version__
from glifcli.checkpoint import FORMAT, Metadata
from glifcli.data import Dataset
from glifcli.models.network import SpikingNetwork
from glifcli.neurons.glif import GATES
from glifcli.recipe import Recipe
from glifcli.reports.evaluation import Evaluation


def metrics_line(
    model: SpikingNetwork,
    evaluation: Evaluation,
    totals: Mapping[str, Any],
    lr: Mapping[str, float],
    *,
    epoch: int,
    step: int,
    validated: bool,
) -> dict[str, Any]:
    """An epoch's line of metrics.jsonl.

    totals: over the epoch's images, summed loss, correct answers, images seen and seconds. validated: whether the
    evaluation is of validation images; its firing rates count in any case.
    """
    return {
        "epoch": epoch,
        "step": step,
        "train_loss": totals["loss"] / totals["seen"],
        "train_accuracy": totals["correct"] / totals["seen"],
        "val_loss": evaluation.loss if validated else None,
        "val_top1": evaluation.top1 if validated else None,
        "val_top5": evaluation.top5 if validated else None,
        "lr": dict(lr),
        "images_per_second": totals["seen"] / totals["seconds"],
        "seconds": totals["seconds"],
        "firing_rate": {
            "network": evaluation.firing_rate.network,
            "layers": {layer.name: layer.rate for layer in evaluation.firing_rate.layers},
        },
        "gates": mean_gates(model),
    }


@torch.no_grad()
def mean_gates(model: SpikingNetwork) -> dict[str, dict[str, float]]:
    """The mean of each gate of each layer; nothing for neurons without gates."""
    found = {}
    for name, neuron in model.neurons():
        values = neuron.values()
        found[name] = {gate: values[gate].mean().item() for gate in GATES if gate in values}
    return found


def metadata_of(recipe: Recipe, dataset: Dataset, *, precision: str, epoch: int, step: int) -> Metadata:
    """The metadata of a model trained by that recipe for `epoch` epochs and `step` steps of the next."""
    return Metadata(
        format=FORMAT,
        architecture=recipe.model.name,
        classes=len(dataset.classes),
        time_steps=recipe.model.time_steps,
        in_channels=dataset.channels,
        width=recipe.model.width,
        neuron=recipe.neuron,
        image_size=dataset.image_size,
        mean=dataset.normalisation.mean,
        std=dataset.normalisation.std,
        class_names=dataset.classes,
        made={
            "glif": __version__,
            "description": recipe.description,
            "dataset": recipe.data.dataset,
            "validation": recipe.data.validation,
            "split_seed": recipe.data.split_seed,
            "resize": recipe.data.resize,
            "epoch": epoch,
            "step": step,
            "epochs": recipe.train.epochs,
            "seed": recipe.train.seed,
            "precision": precision,
            "ema": recipe.train.ema,
        },
    )
