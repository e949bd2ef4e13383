"""Learning curves of a run: loss, accuracy, learning rate, firing, gates and speed by epoch."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from glifcli.errors import GlifError
from glifcli.reports.plots.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    RED,
    depth_colours,
    depth_key,
    dress,
    from_zero,
    legend,
    new_figure,
    png,
    whole_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Lines = Sequence[Mapping[str, Any]]

# Up to that many epochs each is marked by a dot, so that a single one shows.
DOTS = 30


def curves_plot(metrics: Lines) -> bytes:
    """Learning curves from the lines of metrics.jsonl. Raises GlifError where there is none."""
    if not metrics:
        raise GlifError("there is no epoch to draw", "train for at least one")
    panels: list[Callable[[Figure, Axes, Lines], None]] = [_loss, _accuracy, _rates, _firing, _gates, _speed]
    epochs = len(metrics)
    figure = new_figure(15, 8.4, f"Learning curves, {epochs} epoch{'s' if epochs > 1 else ''}")
    for axes, panel in zip(figure.subplots(2, 3).flat, panels, strict=True):
        panel(figure, axes, metrics)
        numbers = [line["epoch"] for line in metrics]
        whole_ticks(axes, min(numbers), max(numbers))
    return png(figure)


def _draw(axes: "Axes", metrics: Lines, value: Callable[[Mapping[str, Any]], Any], **style: Any) -> bool:
    """Draws a value by epoch, with gaps where it is null or not finite; False where it is so throughout."""
    ys = [_number(value(line)) for line in metrics]
    if all(math.isnan(y) for y in ys):
        return False
    marker = "o" if len(metrics) <= DOTS or sum(not math.isnan(y) for y in ys) <= DOTS else ""
    xs = [line["epoch"] for line in metrics]
    # Epochs without a validation leave no gap in the line of those that have one.
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if not math.isnan(y)]
    style = {"linewidth": 2, "markersize": 4, **style}
    axes.plot([x for x, _ in points], [y for _, y in points], marker=marker, **style)
    return True


def _number(value: Any) -> float:
    return float(value) if value is not None and math.isfinite(value) else math.nan


def _loss(_figure: "Figure", axes: "Axes", metrics: Lines) -> None:
    dress(axes, "Loss", "epoch", "cross-entropy (nats)")
    _draw(axes, metrics, lambda line: line["train_loss"], color=BLUE, label="training")
    _draw(axes, metrics, lambda line: line.get("val_loss"), color=RED, label="validation")
    from_zero(axes)
    legend(axes)


def _accuracy(_figure: "Figure", axes: "Axes", metrics: Lines) -> None:
    dress(axes, "Accuracy", "epoch", "accuracy (%)")

    def in_percent(key: str) -> Callable[[Mapping[str, Any]], Any]:
        return lambda line: None if line.get(key) is None else 100 * line[key]

    _draw(axes, metrics, in_percent("train_accuracy"), color=BLUE, label="training, top-1")
    has_top1 = _draw(axes, metrics, in_percent("val_top1"), color=RED, label="validation, top-1")
    _draw(axes, metrics, in_percent("val_top5"), color=ORANGE, linestyle="--", label="validation, top-5")
    if has_top1:
        values = [(100 * line["val_top1"], line["epoch"]) for line in metrics if line.get("val_top1") is not None]
        best, epoch = max(values, key=lambda pair: pair[0])
        axes.axhline(best, color=RED, linewidth=0.8, linestyle=":")
        axes.plot([], [], " ", label=f"best {best:.2f} %, epoch {epoch}")
    low = max(0.0, axes.get_ylim()[0])
    axes.set_ylim(low, 100 + 0.02 * (100 - low))
    legend(axes, "lower right")


def _rates(_figure: "Figure", axes: "Axes", metrics: Lines) -> None:
    dress(axes, "Learning rate", "epoch", "learning rate")
    styles = {"weights": (BLUE, "-", 2.0), "neurons": (ORANGE, "--", 2.0), "gates": (GREEN, "-.", 2.0)}
    for name in dict.fromkeys(name for line in metrics for name in line["lr"]):
        colour, style, width = styles.get(name, (GREY, ":", 1.5))

        def above_zero(line: Mapping[str, Any], name: str = name) -> Any:
            rate = line["lr"].get(name)
            return rate if rate else None

        _draw(axes, metrics, above_zero, color=colour, linestyle=style, linewidth=width, label=name)
    axes.set_yscale("log")
    legend(axes)


def _firing(figure: "Figure", axes: "Axes", metrics: Lines) -> None:
    dress(axes, "Firing rate by layer", "epoch", "spikes per neuron and time step")
    names = list(metrics[-1]["firing_rate"]["layers"])
    for name, colour in zip(names, depth_colours(len(names)), strict=True):

        def rate(line: Mapping[str, Any], name: str = name) -> Any:
            return line["firing_rate"]["layers"].get(name)

        _draw(axes, metrics, rate, color=colour, linewidth=1.2, markersize=3)
    _draw(axes, metrics, lambda line: line["firing_rate"]["network"], color=INK, linewidth=2.6, label="network")
    from_zero(axes)
    if len(names) > 6:
        legend(axes)
    depth_key(figure, axes, names)


def _gates(_figure: "Figure", axes: "Axes", metrics: Lines) -> None:
    dress(axes, "Mean gates; thin: by layer", "epoch", "gate, after the sigmoid")
    axes.axhline(0.5, color=GREY, linewidth=1, linestyle=":")
    labels = {"alpha": "α, leak", "beta": "β, conductance", "gamma": "γ, reset"}
    drawn = False
    for gate, colour, style in zip(labels, (BLUE, ORANGE, GREEN), ("-", "--", "-."), strict=True):
        for name in metrics[-1].get("gates") or {}:

            def of_layer(line: Mapping[str, Any], gate: str = gate, name: str = name) -> Any:
                return (line["gates"].get(name) or {}).get(gate)

            _draw(axes, metrics, of_layer, color=colour, linewidth=0.7, markersize=2, alpha=0.4)

        def of_network(line: Mapping[str, Any], gate: str = gate) -> Any:
            values = [layer[gate] for layer in (line.get("gates") or {}).values() if layer.get(gate) is not None]
            return sum(values) / len(values) if values else None

        label = labels[gate]
        drawn |= _draw(axes, metrics, of_network, color=colour, linestyle=style, linewidth=2.6, label=label)
    if drawn:
        low, high = axes.get_ylim()
        reach = max(0.05, 0.5 - low, high - 0.5)
        axes.set_ylim(0.5 - reach, 0.5 + reach)
        legend(axes)
    else:
        axes.text(0.5, 0.56, "these neurons learn no gates", ha="center", color=GREY, transform=axes.transAxes)
        axes.set_ylim(0, 1)


def _speed(_figure: "Figure", axes: "Axes", metrics: Lines) -> None:
    dress(axes, "Speed of training", "epoch", "images per second")
    _draw(axes, metrics, lambda line: line["images_per_second"], color=BLUE)
    from_zero(axes)
