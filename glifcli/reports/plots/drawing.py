"""What all plots share: paper, colours, axes. Each plot imports matplotlib when it is made, never pyplot."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 100

# Okabe and Ito's colours, told apart with any kind of colour vision.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6B6B6B"
INK, FAINT = "#222222", "#DDDDDD"


def new_figure(width: float, height: float, title: str) -> "Figure":
    """An empty figure of that many inches with a title, at its upper left."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor="white")
    figure.suptitle(title, x=0.012, ha="left", fontsize=16, fontweight="bold", color=INK)
    return figure


def png(figure: "Figure") -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    return buffer.getvalue()


def dress(axes: "Axes", title: str, x: str = "", y: str = "") -> None:
    """Title, axis labels and a quiet frame."""
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK)
    axes.set_xlabel(x, fontsize=11, color=INK)
    axes.set_ylabel(y, fontsize=11, color=INK)
    axes.tick_params(labelsize=10, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.grid(visible=True, color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)


def legend(axes: "Axes", where: Literal["best", "lower right"] = "best") -> None:
    """A legend on a pale ground, so that no line runs through its words."""
    axes.legend(fontsize=10, loc=where, facecolor="white", edgecolor="none", framealpha=0.85)


def from_zero(axes: "Axes") -> None:
    """A y axis from 0 to somewhat above what is drawn."""
    axes.set_ylim(0, 1.06 * axes.get_ylim()[1])


def depth_colours(count: int) -> list[tuple[float, float, float, float]]:
    """A colour for each layer, dark at the input and bright at the output."""
    from matplotlib import colormaps

    last = max(count - 1, 1)
    return [colormaps["viridis"](0.9 * index / last) for index in range(count)]


def depth_key(figure: "Figure", axes: "Axes", names: Sequence[str]) -> None:
    """Says which colour is which layer: by a legend where they are few, else a bar from input to output."""
    colours = depth_colours(len(names))
    if len(names) <= 6:
        for name, colour in zip(names, colours, strict=True):
            axes.plot([], [], color=colour, linewidth=2, label=name)
        legend(axes)
        return
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    scale = BoundaryNorm([index + 0.5 for index in range(len(names) + 1)], len(names))
    bar = figure.colorbar(ScalarMappable(scale, ListedColormap(colours)), ax=axes, pad=0.02, fraction=0.05)
    bar.set_ticks([1, len(names)], labels=["input", "output"])
    bar.minorticks_off()
    bar.ax.tick_params(labelsize=9, length=0)
    bar.ax.invert_yaxis()
    bar.outline.set_visible(False)


def whole_ticks(axes: "Axes", first: int, last: int) -> None:
    """An x axis of whole numbers from `first` to `last`, at most ten of them labelled."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True, min_n_ticks=1))
    margin = 0.5 if last == first else 0.02 * (last - first)
    axes.set_xlim(first - margin, last + margin)


def say(axes: "Axes", text: str) -> None:
    """A sentence in the middle of an otherwise empty panel."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=11, color=GREY, transform=axes.transAxes)
