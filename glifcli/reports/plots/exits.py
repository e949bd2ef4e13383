"""Accuracy and energy against the time steps that images ran, for every threshold of an early exit."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from glifcli.reports.plots.drawing import BLUE, GREY, INK, ORANGE, dress, legend, new_figure, png
from glifcli.reports.sweeps import NEVER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Points nearer than that share of the curve's width share a label.
NEAR = 0.05


def exits_plot(report: Mapping[str, Any]) -> bytes:
    """The curve of a report of `judge_early_exit`."""
    figure = new_figure(13, 5, f"Early exit: {report['model']}, {report['neuron']}, T = {report['time_steps']}")
    left, right = figure.subplots(1, 2)
    dress(left, "Accuracy", "mean time steps of an image", "top-1 accuracy (%)")
    _curve(left, report, lambda row: 100 * row["accuracy"]["top1"], BLUE)
    dress(right, "Energy", "mean time steps of an image", "energy of an image (uJ)")
    _curve(right, report, lambda row: row["energy_uj"], ORANGE)
    right.set_ylim(bottom=0)
    return png(figure)


def _curve(axes: "Axes", report: Mapping[str, Any], value: Callable[[Mapping[str, Any]], float], colour: str) -> None:
    """A value by mean time steps, each point named by its threshold, the thresholds asked for filled."""
    rows, asked = report["early_exit"]["thresholds"], report["early_exit"]["asked"]
    points = [(row["mean_time_steps"], value(row)) for row in rows]
    axes.plot(*zip(*points, strict=True), color=colour, linewidth=2, marker="o", markersize=6, markerfacecolor="white")
    marked = [point for row, point in zip(rows, points, strict=True) if row["threshold"] in asked]
    axes.plot(*zip(*marked, strict=True), color=colour, linestyle="", marker="o", markersize=8, label="asked for")
    for names, point, colour in _labels(rows, points, asked):
        axes.annotate(names, point, (6, -12), textcoords="offset points", fontsize=9, color=colour)
    axes.margins(0.12)
    legend(axes, "lower right")


def _labels(
    rows: Sequence[Mapping[str, Any]], points: Sequence[tuple[float, float]], asked: Sequence[float]
) -> list[tuple[str, tuple[float, float], str]]:
    """The thresholds' names, where they stand and their colour: one name for points too near each other for two."""
    near = NEAR * (points[-1][0] - points[0][0])
    groups: list[list[int]] = []
    for index, (x, _) in enumerate(points):
        if groups and x - points[groups[-1][0]][0] <= near:
            groups[-1].append(index)
        else:
            groups.append([index])
    labels = []
    for group in groups:
        thresholds = [rows[index]["threshold"] for index in group]
        ends = ["never" if each == NEVER else f"{each:g}" for each in (thresholds[0], thresholds[-1])]
        names = ends[0] if len(group) == 1 else " to ".join(ends)
        labels.append((names, points[group[0]], INK if set(thresholds) & set(asked) else GREY))
    return labels
