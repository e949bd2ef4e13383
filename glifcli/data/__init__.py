"""Named data sets, their splits and normalisation, and the batches that training and evaluation read."""

from importlib import import_module
from typing import TYPE_CHECKING

from glifcli.data.names import DATASETS

if TYPE_CHECKING:
    from glifcli.data.batches import eval_batches, steps_per_epoch, train_batches
    from glifcli.data.dataset import Dataset, Split
    from glifcli.data.images import FolderImages, Images, MemoryImages
    from glifcli.data.load import load_dataset
    from glifcli.data.normalisation import Normalisation

__all__ = [
    "DATASETS",
    "Dataset",
    "FolderImages",
    "Images",
    "MemoryImages",
    "Normalisation",
    "Split",
    "eval_batches",
    "load_dataset",
    "steps_per_epoch",
    "train_batches",
]

# Resolved on first use: these modules import torch, and a recipe's data set name is checked without it.
HOMES = {
    "Dataset": "dataset",
    "FolderImages": "images",
    "Images": "images",
    "MemoryImages": "images",
    "Normalisation": "normalisation",
    "Split": "dataset",
    "eval_batches": "batches",
    "load_dataset": "load",
    "steps_per_epoch": "batches",
    "train_batches": "batches",
}


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
