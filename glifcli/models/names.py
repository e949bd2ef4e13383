"""The names of the networks, for checks that need no torch."""

NAMES = ("resnet19", "resnet18", "smallnet")
