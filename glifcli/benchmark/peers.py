"""Other libraries' neurons, for a benchmark beside ours; each is imported only when it is asked for."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from glifcli.errors import GlifError

PEERS = ("spikingjelly",)
# A layer for that many channels and time steps: currents [T, B, C, *space] in, spikes out, from rest at each call.
MakeLayer = Callable[[int, int, torch.device], Callable[[Tensor], Tensor]]


def peer_layers(name: str) -> dict[str, MakeLayer]:
    """The layers of that library by name. Raises GlifError where it is not installed."""
    if name not in PEERS:
        raise GlifError(f"no peer `{name}`", "give `--peer spikingjelly`")
    try:
        from spikingjelly.activation_based import functional, neuron, surrogate
    except ImportError as error:
        raise GlifError(f"the peer `{name}` cannot be imported: {error}", "`pip install 'glif[peers]'`") from None

    def from_rest(layer: nn.Module) -> Callable[[Tensor], Tensor]:
        def run(x: Tensor) -> Tensor:
            functional.reset_net(layer)
            spikes: Tensor = layer(x)
            return spikes

        return run

    def gated(channels: int, time_steps: int, device: torch.device) -> Callable[[Tensor], Tensor]:
        layer = neuron.GatedLIFNode(time_steps, inplane=channels, surrogate_function=surrogate.Rect())
        shaped = layer.to(device)

        def run(x: Tensor) -> Tensor:
            # Its constants are [C, 1, 1]: currents without space get one.
            return from_rest(shaped)(x if x.dim() == 5 else x[..., None, None]).view_as(x)

        return run

    def lif(channels: int, time_steps: int, device: torch.device) -> Callable[[Tensor], Tensor]:
        layer: Any = neuron.LIFNode(step_mode="m", surrogate_function=surrogate.Rect())
        if device.type == "cuda" and "triton" in layer.supported_backends:
            layer.backend = "triton"
        return from_rest(layer.to(device))

    return {"spikingjelly GatedLIFNode": gated, "spikingjelly LIFNode": lif}
