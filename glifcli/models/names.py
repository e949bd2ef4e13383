"""The names of the networks, for checks that need no torch."""

NAMES = (
    "resnet19",
    "resnet18",
    "resnet34",
    "resnet18-ms",
    "resnet34-ms",
    "cifarnet",
    "widenet7b",
    "smallnet",
)
