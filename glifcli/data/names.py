"""The data sets by name; imports nothing heavy, so that a recipe is checked without torch."""

# Classes, channels and side of the images of the sets that are always the same; those of a folder are found in it.
FIXED: dict[str, tuple[int, int, int]] = {
    "digits": (10, 1, 8),
    "cifar10": (10, 3, 32),
    "cifar100": (100, 3, 32),
    "mnist": (10, 1, 28),
    "fashion-mnist": (10, 1, 28),
}
DATASETS: tuple[str, ...] = (*FIXED, "imagefolder", "eventframes")
