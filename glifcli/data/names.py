"""The names of the data sets; imports nothing heavy, so that a recipe is checked without torch."""

DATASETS: tuple[str, ...] = ("digits", "cifar10", "cifar100", "mnist", "fashion-mnist", "imagefolder")
