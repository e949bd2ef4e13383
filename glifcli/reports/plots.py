"""The plots of a run, each the bytes of a PNG file."""

from glifcli.reports.curves import curves_plot
from glifcli.reports.ridges import gates_plot
from glifcli.reports.spikes import rates_plot

__all__ = ["curves_plot", "gates_plot", "rates_plot"]
