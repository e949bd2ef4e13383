"""The handwritten digits that scikit-learn carries: 1,797 grey images of 8x8, no download."""

import torch
from torch import Tensor

from glifcli.data.validation import stratified_split

CLASSES = tuple("0123456789")
# A fifth of the images, whatever the settings, so that all accuracies on `digits` are of the same 360.
TEST_IMAGES = 360
TEST_SEED = 0


def load_digits_part(train: bool) -> tuple[Tensor, Tensor]:
    """Pixels, uint8 [N, 1, 8, 8], and labels of the training (1,437) or test (360) images.

    The set's levels 0..16 become round(level * 255 / 16), halves upwards, so that 16 is 255.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    levels = torch.from_numpy(bunch.images).to(torch.int64)
    pixels = ((levels * 255 + 8) // 16).to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(bunch.target).to(torch.int64)
    stay, held = stratified_split(labels, TEST_IMAGES, TEST_SEED)
    part = stay if train else held
    return pixels[part], labels[part]
