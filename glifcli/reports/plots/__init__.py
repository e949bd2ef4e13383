"""The plots of a run, each the bytes of a PNG file."""

from glifcli.reports.plots.curves import curves_plot
from glifcli.reports.plots.exits import exits_plot
from glifcli.reports.plots.gates import gates_plot
from glifcli.reports.plots.rates import rates_plot

__all__ = ["curves_plot", "exits_plot", "gates_plot", "rates_plot"]
