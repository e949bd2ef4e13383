"""SpikingJelly's names of a GatedLIFNode's parameters, and the way there and back.

Its node (2.0.0) holds the same logits in the same shapes, so that tensors pass unchanged. What it computes differs
in one point: it fires where the membrane equals the threshold, the paper and our neuron only above it.
"""

import torch
from torch import Tensor

from glifcli.convert.names import Dialect, own_parts
from glifcli.errors import ModelError
from glifcli.models.network import SpikingNetwork
from glifcli.neurons.glif import GATES, GLIF

SPIKINGJELLY = Dialect(
    "spikingjelly",
    own_parts,
    {"threshold": "v_threshold", "leak": "linear_decay", "reset": "v_subreset", "conductance": "conduct"},
)
# A logit whose sigmoid is 0 or 1 to the last bit of float32.
CERTAIN = 200.0


def to_spikingjelly(network: SpikingNetwork) -> dict[str, Tensor]:
    """The state dict of the network with SpikingJelly's names of the neurons' parameters.

    Rounded gates, which its node does not have, become logits of -200 and 200. Raises ModelError for neurons that
    are not GLIF, or time-wise.
    """
    state = network.state_dict()
    for name, neuron in network.neurons():
        if not isinstance(neuron, GLIF):
            raise ModelError(
                f"the neurons `{name}` are `{type(neuron).__name__}`, which SpikingJelly's GatedLIFNode is not",
                "convert a network of `glif` neurons",
            )
        if neuron.time_wise:
            raise ModelError(
                f"the neurons `{name}` have parameters by time step, SpikingJelly's GatedLIFNode only conductance",
                "train with `neuron.time_wise=false`",
            )
        if neuron.mode == "hard":
            for gate in GATES:
                logits = state[f"{name}.{gate}"]
                state[f"{name}.{gate}"] = torch.where(torch.sigmoid(logits) > 0.5, CERTAIN, -CERTAIN).to(logits.dtype)
    return {theirs: state[ours] for ours, theirs in SPIKINGJELLY.keys(network).items()}
