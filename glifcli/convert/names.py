"""What others call the tensors of our networks."""

from collections.abc import Callable
from dataclasses import dataclass

from glifcli.models.network import SpikingNetwork
from glifcli.models.tdbn import PLAIN, TdBN
from glifcli.neurons.base import Neuron


@dataclass(frozen=True)
class Dialect:
    """How a format names tensors.

    parts: of a network, our name of each part that holds tensors to theirs. parameters: our name of a neuron's
    parameter to theirs, where they differ. norm_buffer: what their tdBN keeps of the threshold that it scales to.
    """

    name: str
    parts: Callable[[SpikingNetwork], dict[str, str]]
    parameters: dict[str, str]
    norm_buffer: str | None = None

    def keys(self, network: SpikingNetwork) -> dict[str, str]:
        """Our key of every tensor of the network to theirs."""
        parts = self.parts(network)
        neurons = {name for name, module in network.named_modules() if isinstance(module, Neuron)}
        found = {}
        for key in network.state_dict():
            part, _, leaf = key.rpartition(".")
            theirs = self.parameters.get(leaf, leaf) if part in neurons else leaf
            found[key] = f"{parts[part]}.{theirs}"
        return found

    def norm_thresholds(self, network: SpikingNetwork) -> dict[str, str]:
        """Our key of each tdBN's weight to their key of the threshold that it scales to."""
        if self.norm_buffer is None:
            return {}
        parts = self.parts(network)
        return {
            f"{name}.weight": f"{parts[name]}.{self.norm_buffer}"
            for name, module in network.named_modules()
            if isinstance(module, TdBN) and module.scale != PLAIN
        }


def own_parts(network: SpikingNetwork) -> dict[str, str]:
    """Our own names of the parts that hold tensors."""
    parts = [key.rpartition(".")[0] for key in network.state_dict()]
    return dict(zip(parts, parts, strict=True))


GLIF = Dialect("glif", own_parts, {})
