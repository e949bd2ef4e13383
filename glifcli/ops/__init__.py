"""The one operator: constants and currents in, spikes out."""

from glifcli.ops.constants import Constants
from glifcli.ops.sequence import BACKENDS, State, choose_backend, glif_sequence
from glifcli.ops.surrogate import SURROGATES

__all__ = ["BACKENDS", "SURROGATES", "Constants", "State", "choose_backend", "glif_sequence"]
