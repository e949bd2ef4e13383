"""The one operator: constants and currents in, spikes out."""

from glifcli.ops.backends import BACKENDS, check_backend, choose_backend
from glifcli.ops.constants import Constants
from glifcli.ops.current import Branch, Current
from glifcli.ops.fused import Packed, packed_for
from glifcli.ops.sequence import State, batch_moments, current_spikes, glif_sequence, glif_spikes
from glifcli.ops.surrogate import SURROGATES

__all__ = [
    "BACKENDS",
    "SURROGATES",
    "Branch",
    "Constants",
    "Current",
    "Packed",
    "State",
    "batch_moments",
    "check_backend",
    "choose_backend",
    "current_spikes",
    "glif_sequence",
    "glif_spikes",
    "packed_for",
]
