"""Neurons by name."""

from glifcli.errors import ModelError, nearest
from glifcli.neurons.base import Neuron
from glifcli.neurons.config import SETTINGS, NeuronConfig, unread_settings
from glifcli.neurons.glif import GLIF, GLIFf
from glifcli.neurons.lif import LIF, PLIF

NEURONS: dict[str, type[Neuron]] = {"glif": GLIF, "glif-f": GLIFf, "lif": LIF, "plif": PLIF}


def build(config: NeuronConfig, channels: int, time_steps: int, backend: str = "auto") -> Neuron:
    """A neuron layer as `config` asks for it. Raises ModelError for an unknown name and for a setting it ignores."""
    if config.name not in NEURONS:
        raise ModelError(f"no neuron `{config.name}`", nearest(config.name, NEURONS))
    unread = unread_settings(config)
    if unread:
        raise ModelError(f"the neuron `{config.name}` has no setting `{unread[0]}`", f"leave `{unread[0]}` out")
    settings = {name: getattr(config, name) for name in SETTINGS[config.name]}
    return NEURONS[config.name](channels, time_steps, backend=backend, **settings)
