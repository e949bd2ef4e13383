"""Networks of spiking neurons, by name."""

from glifcli.models.network import SpikingNetwork
from glifcli.models.registry import MODELS, ModelConfig, create_model, from_config

__all__ = ["MODELS", "ModelConfig", "SpikingNetwork", "create_model", "from_config"]
