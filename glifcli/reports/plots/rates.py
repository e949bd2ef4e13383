"""Firing rates by layer and by time step."""

from typing import TYPE_CHECKING

from glifcli.reports.firing import FiringRates
from glifcli.reports.plots.drawing import BLUE, GREY, INK, RED, dress, new_figure, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Behind a number, so that a line does not cross it.
LABEL = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}


def rates_plot(rates: FiringRates) -> bytes:
    """Firing rate and share of silent neurons of each layer, and the rate at each time step."""
    figure = new_figure(14, max(3.8, 2.0 + 0.36 * len(rates.layers)), "Firing by layer, input at the top")
    left, middle, right = figure.subplots(1, 3, sharey=True, width_ratios=[3, 2, 3])
    _rate(left, rates)
    _silent(middle, rates)
    _steps(figure, right, rates)
    left.set_yticks(range(len(rates.layers)), [layer.name for layer in rates.layers])
    left.set_ylim(len(rates.layers) - 0.5, -0.5)
    return png(figure)


def _rate(axes: "Axes", rates: FiringRates) -> None:
    dress(axes, "Firing rate", "spikes per neuron and time step")
    values = [layer.rate for layer in rates.layers]
    _bars(axes, values, [f"{value:.3g}" for value in values], BLUE)
    axes.axvline(rates.network, color=INK, linewidth=1.5, linestyle="--", label=f"network {rates.network:.3g}")
    axes.set_xlim(0, 1.18 * max([*values, rates.network, 0.01]))
    axes.locator_params(axis="x", nbins=5)
    axes.legend(fontsize=10, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0)


def _silent(axes: "Axes", rates: FiringRates) -> None:
    dress(axes, "Silent neurons", "share that never fired (%)")
    values = [100 * layer.silent_fraction for layer in rates.layers]
    _bars(axes, values, [f"{value:.1f}" for value in values], RED)
    axes.set_xlim(0, 1.22 * max([*values, 10.0]))
    axes.tick_params(axis="y", length=0)


def _bars(axes: "Axes", values: list[float], labels: list[str], colour: str) -> None:
    bars = axes.barh(range(len(values)), values, height=0.68, color=colour)
    axes.bar_label(bars, labels, padding=4, fontsize=9, color=INK, bbox=LABEL)
    axes.grid(visible=False, axis="y")


def _steps(figure: "Figure", axes: "Axes", rates: FiringRates) -> None:
    dress(axes, "Firing rate by time step", "time step")
    grid = [layer.per_step for layer in rates.layers]
    steps = len(grid[0])
    top = max(max(row) for row in grid) or 1.0
    image = axes.imshow(
        grid,
        aspect="auto",
        cmap="cividis",
        vmin=0,
        vmax=top,
        extent=(0.5, steps + 0.5, len(grid) - 0.5, -0.5),
    )
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xticks(range(1, steps + 1))
    if steps <= 6:
        for row, values in enumerate(grid):
            for step, value in enumerate(values, 1):
                colour = "white" if value < 0.6 * top else "black"
                axes.text(step, row, f"{value:.3g}", ha="center", va="center", fontsize=9, color=colour)
    bar = figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label("spikes per neuron", fontsize=10, color=GREY)
    bar.outline.set_visible(False)
