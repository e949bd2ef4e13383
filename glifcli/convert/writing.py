"""A converted network as the bytes of a file."""

import io

import safetensors.torch
import torch

from glifcli.checkpoint import Metadata, content
from glifcli.convert.spikingjelly import to_spikingjelly
from glifcli.models.network import SpikingNetwork

# What `--to` may ask for.
FORMATS = ("glif", "spikingjelly")
PICKLE_SUFFIXES = (".pt", ".pth", ".tar", ".bin", ".pkl")


def file_content(network: SpikingNetwork, metadata: Metadata, to: str, suffix: str) -> bytes:
    """The file of that format of FORMATS; SpikingJelly's is safetensors or, by its suffix, what `torch.save` writes.

    Raises ModelError for a network that the format cannot hold.
    """
    if to == "glif":
        return content(network.state_dict(), metadata)
    state = {key: value.contiguous() for key, value in to_spikingjelly(network).items()}
    if suffix not in PICKLE_SUFFIXES:
        return safetensors.torch.save(state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
