"""The data sets by name; imports nothing heavy, so that a recipe is checked without torch."""

# Classes and channels of the sets that are always the same; those of a folder are found in it.
FIXED: dict[str, tuple[int, int]] = {
    "digits": (10, 1),
    "cifar10": (10, 3),
    "cifar100": (100, 3),
    "mnist": (10, 1),
    "fashion-mnist": (10, 1),
}
DATASETS: tuple[str, ...] = (*FIXED, "imagefolder", "eventframes")
