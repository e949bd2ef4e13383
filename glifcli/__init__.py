"""Spiking networks with gated leaky integrate-and-fire neurons (GLIF, arXiv 2210.13768)."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glifcli.checkpoint import load_model
    from glifcli.models.registry import create_model
    from glifcli.neurons.glif import GLIF

__version__ = "0.1.0"
__all__ = ["GLIF", "__version__", "create_model", "load_model"]

# Resolved on first use, so that `import glifcli` imports no torch.
HOMES = {"GLIF": "neurons.glif", "create_model": "models.registry", "load_model": "checkpoint"}


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
