"""The seeded, stratified split of the training images into training and validation."""

import numpy as np
import torch
from torch import Tensor

from glifcli.errors import DataError


def validation_count(validation: float, images: int) -> int:
    """How many of `images` a setting asks for: a share below 1, or a whole number of images.

    Raises DataError for a number above 1 that is not whole, and where nothing would be left on either side.
    """
    if validation >= 1 and validation != int(validation):
        raise DataError(
            f"`data.validation` is `{validation}`: neither a share below 1 nor a whole number of images",
            f"set `data.validation={int(validation)}`",
        )
    count = int(validation) if validation >= 1 else round(validation * images)
    if not 0 < count < images:
        raise DataError(
            f"`data.validation={validation:g}` asks for {count} of {images} training images",
            "set `data.validation=0.1`",
        )
    return count


def stratified_split(labels: Tensor, held_out: int, seed: int) -> tuple[Tensor, Tensor]:
    """Indices that stay and indices held out, ascending, classes in proportion, the same on every machine.

    Raises DataError where a class is too small to appear on both sides.
    """
    from sklearn.model_selection import train_test_split

    try:
        stay, held = train_test_split(
            np.arange(len(labels)), test_size=held_out, stratify=labels.numpy(), random_state=seed
        )
    except ValueError as error:
        raise DataError(
            f"{held_out} of {len(labels)} images cannot be held out for validation: {str(error).rstrip('.')}",
            "change `data.validation`, or set `data.validation=0`",
        ) from error
    return torch.from_numpy(np.sort(stay)), torch.from_numpy(np.sort(held))
