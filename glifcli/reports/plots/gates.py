"""What the neurons learned, drawn: distributions over channels layer by layer, and conductance over time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from glifcli.errors import GlifError
from glifcli.reports.gates import Array, LayerGates
from glifcli.reports.plots.drawing import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    RED,
    depth_colours,
    depth_key,
    dress,
    new_figure,
    png,
    say,
    whole_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# By gate: the behaviour it decides, and that behaviour's names where the gate is 0 and where it is 1.
GATES: Mapping[str, tuple[str, str, str]] = {
    "alpha": ("leak", "linear", "exponential"),
    "beta": ("conductance", "uniform", "time-dependent"),
    "gamma": ("reset", "soft", "hard"),
}
TITLES = {"alpha": "α: leak", "beta": "β: conductance", "gamma": "γ: reset"}
SYMBOLS = {"tau": "τ: decay", "threshold": "V: threshold"}

# Height of a bell in rows, so that it overlaps the row above; a spread below which it is drawn as a line.
OVERLAP = 1.25
NARROW = 1e-4


def gates_plot(layers: Sequence[LayerGates]) -> bytes:
    """Bells of the gates, tau and threshold for each layer, input at the top, and the conductance over time.

    A gate's bell takes the colour of the layer's nearest behaviour. Raises GlifError where there is no layer.
    """
    if not layers:
        raise GlifError("the network has no layer of neurons to draw", "give a spiking network")
    columns = [name for name in (*GATES, *SYMBOLS) if any(name in layer.values for layer in layers)]
    timed = any("conductance" in layer.values for layer in layers)
    height = max(4.8, 2.6 + 0.42 * len(layers))
    figure = new_figure(16, height, "Gates and membrane by layer, after the sigmoid")
    widths = [1.3 if name in GATES else 1.0 for name in columns] or [1.0]
    widths += [1.7] if timed else []
    panels = list(figure.subplots(1, len(widths), width_ratios=widths, squeeze=False).flat)
    gate_limits = _limits([layer.values[name] for name in GATES for layer in layers if name in layer.values], [0.5])
    for axes, name in zip(panels, columns, strict=False):
        if name in GATES:
            _gate_column(axes, layers, name, gate_limits)
        else:
            _membrane_column(axes, layers, name)
        first = axes is panels[0]
        axes.set_yticks(range(len(layers)), [layer.name if first else "" for layer in layers])
        axes.tick_params(axis="y", length=0)
    if not columns:
        say(panels[0], "these neurons have nothing to show")
    if timed:
        _conductance(figure, panels[-1], layers)
    figure.supxlabel(_note(layers, columns), x=0.012, ha="left", fontsize=10, color=GREY)
    return png(figure)


def _note(layers: Sequence[LayerGates], columns: Sequence[str]) -> str:
    note = (
        "Each bell, the density over channels, is scaled to its own height; a line with a dot: all alike. "
        "Dashed: the value at the start. "
    )
    if any(name in GATES for name in columns):
        return note + "A gate's colour is the layer's nearest behaviour."
    if len({tuple(layer.nearest.items()) for layer in layers}) > 1:
        return note
    behaviours = ", ".join(f"{kind} {part}" for part, kind in layers[0].nearest.items())
    return f"{note}In every layer: {behaviours}."


def _gate_column(axes: "Axes", layers: Sequence[LayerGates], gate: str, limits: tuple[float, float]) -> None:
    behaviour, at_zero, at_one = GATES[gate]
    colours = [RED if layer.nearest[behaviour] == at_one else BLUE for layer in layers]
    _ridges(axes, layers, gate, limits, colours)
    # A blank label keeps the room below the ticks for the two names, each at its end of the axis.
    dress(axes, TITLES[gate], " ")
    for x, name, colour, side in ((0.0, at_zero, BLUE, "left"), (1.0, at_one, RED, "right")):
        axes.annotate(
            name, (x, 0), (0, -24), xycoords="axes fraction", textcoords="offset points",
            ha=side, va="top", fontsize=10, color=colour, fontweight="bold",
        )  # fmt: skip
    axes.grid(visible=False, axis="y")


def _membrane_column(axes: "Axes", layers: Sequence[LayerGates], name: str) -> None:
    values = [layer.values[name] for layer in layers if name in layer.values]
    starts = [layer.initial[name] for layer in layers if name in layer.initial]
    _ridges(axes, layers, name, _limits(values, starts), [GREEN] * len(layers))
    dress(axes, SYMBOLS[name], "value")
    axes.grid(visible=False, axis="y")


def _ridges(
    axes: "Axes", layers: Sequence[LayerGates], name: str, limits: tuple[float, float], colours: Sequence[str]
) -> None:
    grid = np.linspace(*limits, 400)
    for row, (layer, colour) in enumerate(zip(layers, colours, strict=True)):
        axes.axhline(row, color=FAINT, linewidth=0.8, zorder=2 * row)
        if name not in layer.values:
            continue
        values = layer.values[name].ravel()
        if name in layer.initial:
            start = layer.initial[name]
            axes.plot(
                [start, start],
                [row, row - 0.85],
                color=GREY,
                linewidth=1.1,
                linestyle="--",
                zorder=2 * row + 2,
            )
        if values.std() < NARROW:
            axes.plot([values.mean()] * 2, [row, row - 0.6], color=colour, linewidth=2, zorder=2 * row + 1)
            axes.plot([values.mean()], [row - 0.6], "o", color=colour, markersize=5, zorder=2 * row + 1)
            continue
        heights = row - OVERLAP * density(values, grid)
        axes.fill_between(grid, row, heights, color=colour, alpha=0.55, linewidth=0, zorder=2 * row + 1)
        axes.plot(grid, heights, color=colour, linewidth=1.2, zorder=2 * row + 1)
    axes.set_xlim(*limits)
    axes.set_ylim(len(layers) - 0.6, -1.5)


def density(values: Array, grid: Array) -> Array:
    """Density of the values over the grid, by Gaussian kernels of Scott's width, scaled to height 1."""
    low, high = np.percentile(values, [25, 75])
    spread = min(values.std(), (high - low) / 1.34 or values.std())
    # Wider kernels would join the two heaps of gates that were rounded to 0 and 1.
    width = min(max(1.06 * spread * len(values) ** -0.2, (grid[-1] - grid[0]) / 150), 0.05)
    heights = np.exp(-0.5 * ((grid[:, None] - values[None, :]) / width) ** 2).sum(1)
    return heights / max(heights.max(), 1e-300)


def _limits(values: Sequence[Array], starts: Sequence[float]) -> tuple[float, float]:
    """Limits that hold all values and starts with some room, and are never narrow."""
    if not values:
        return 0.0, 1.0
    low = min([*starts, *(float(value.min()) for value in values)])
    high = max([*starts, *(float(value.max()) for value in values)])
    room = max(0.12 * (high - low), 0.08 - (high - low) / 2, 0.02)
    return max(low - room, -0.1), min(high + room, 1.1)


def _conductance(figure: "Figure", axes: "Axes", layers: Sequence[LayerGates]) -> None:
    """Mean conductance of each layer by time step, and its standard deviation where layers are few."""
    dress(axes, "g: conductance over time", "time step", "mean over channels")
    shown = [layer for layer in layers if "conductance" in layer.values]
    for layer, colour in zip(shown, depth_colours(len(shown)), strict=True):
        values = layer.values["conductance"]
        steps, mean, std = np.arange(1, len(values) + 1), values.mean(1), values.std(1)
        axes.plot(steps, mean, marker="o", markersize=4, linewidth=1.6, color=colour)
        if len(shown) <= 6:
            axes.fill_between(steps, mean - std, mean + std, color=colour, alpha=0.12, linewidth=0)
    starts = [layer.initial["conductance"] for layer in shown if "conductance" in layer.initial]
    if starts:
        axes.axhline(starts[0], color=GREY, linewidth=1.1, linestyle="--")
    low, high = axes.get_ylim()
    middle, reach = (low + high) / 2, max((high - low) / 2, 0.05)
    axes.set_ylim(middle - reach, middle + reach)
    whole_ticks(axes, 1, max(len(layer.values["conductance"]) for layer in shown))
    depth_key(figure, axes, [layer.name for layer in shown])
