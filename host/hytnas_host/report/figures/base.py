"""What every figure is made of: sizes, tooltips, and the drawing with its marked data points."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray

from hytnas_host.report.svg import SERIES_PREFIX
from hytnas_host.report.theme import LIGHT, RC


@dataclass(frozen=True)
class Size:
    """A variant of a figure, in pixels of the page. ``narrow`` is for a phone."""

    width: int
    height: int
    narrow: bool = False


@dataclass(frozen=True)
class Tooltip:
    """What a data point says when it is pointed at; ``architecture`` adds its choices."""

    title: str
    rows: tuple[tuple[str, str], ...]
    architecture: str | None = None

    def spoken(self) -> str:
        """The tooltip as one line, for a screen reader."""
        return "; ".join([self.title, *(f"{name} {value}" for name, value in self.rows)])


@dataclass(frozen=True)
class Drawing:
    """A drawn figure and the tooltips of its series, in the order of their marks."""

    figure: Figure
    points: dict[str, list[Tooltip]] = field(default_factory=dict)


@dataclass(frozen=True)
class FigureSpec:
    """A figure that can be drawn in several sizes.

    ``alt`` describes it to who cannot see it, ``caption`` says how to read it. Marks of the series named in
    ``focusable`` take the keyboard's focus.
    """

    key: str
    title: str
    caption: str
    alt: str
    sizes: tuple[Size, ...]
    draw: Callable[[Size], Drawing]
    focusable: frozenset[str] = frozenset()


def new_axes(size: Size, *, left: float, right: float = 16, top: float = 16, bottom: float = 48) -> Axes:
    """Axes on a new figure, with margins in pixels, so that figures of one size line up."""
    figure = Figure(figsize=(size.width / 72, size.height / 72))
    return add_axes(figure, size, left=left, right=right, top=top, bottom=bottom)


def add_axes(figure: Figure, size: Size, *, left: float, right: float, top: float, bottom: float) -> Axes:
    """More axes on a figure of this size, with margins in pixels."""
    with mpl.rc_context(RC):
        return figure.add_axes(
            (
                left / size.width,
                bottom / size.height,
                (size.width - left - right) / size.width,
                (size.height - top - bottom) / size.height,
            )
        )


def both_widths(wide: tuple[int, int], narrow: tuple[int, int]) -> tuple[Size, Size]:
    """The two variants of a figure, each (width, height) in pixels."""
    return Size(*wide), Size(*narrow, narrow=True)


def figure_of(axes: Axes) -> Figure:
    """The figure these axes were made on."""
    figure = axes.figure
    assert isinstance(figure, Figure)
    return figure


def series(
    axes: Axes,
    name: str,
    x: ArrayLike,
    y: ArrayLike,
    *,
    area: ArrayLike,
    **style: Any,
) -> None:
    """A scatter whose marks can be found again in the SVG under ``name``; ``area`` in square pixels."""
    style.setdefault("clip_on", False)
    axes.scatter(x, y, s=area, gid=f"{SERIES_PREFIX}{name}", **style)


def legend_mark(colour: str, marker: str, *, hollow: bool = False, size: float = 6) -> Line2D:
    """What a legend shows of a series, in a colour of the palette by its value."""
    return Line2D(
        [],
        [],
        linestyle="",
        marker=marker,
        markersize=size,
        markerfacecolor=LIGHT["surface"] if hollow else colour,
        markeredgecolor=colour,
        markeredgewidth=1.4 if hollow else 0,
    )


def hollow_style(colour: str, hollow: Sequence[bool]) -> dict[str, Any]:
    """Faces and line widths of the marks of a series, whose edges are of the same ``colour``."""
    return {
        "facecolors": [LIGHT["surface"] if each else colour for each in hollow],
        "linewidths": [1.4 if each else 0.0 for each in hollow],
    }


def unstable_words(unstable: Sequence[bool]) -> str:
    """What a caption says of hollow marks; empty where there are none."""
    number = sum(unstable)
    if not number:
        return ""
    labels = "label is" if number == 1 else "labels are"
    return f" Hollow: {number} {labels} UNSTABLE, with an interval that is wider than was asked for."


def number_axis(axes: Axes, which: str, *, log: bool, subs: Sequence[float] = (1.0, 2.0, 5.0)) -> None:
    """Plain numbers at the ticks: ``subs`` times powers of ten on a logarithmic axis."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    if log:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        axis.set_major_locator(LogLocator(base=10, subs=subs))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def spans_decade(values: NDArray[np.float64]) -> bool:
    """Whether positive values spread so far that a logarithmic axis reads better."""
    return bool(values.size and values.min() > 0 and values.max() / values.min() > 6)


def padded(values: NDArray[np.float64], *, log: bool, share: float = 0.06) -> tuple[float, float]:
    """Limits around the values with a margin of ``share`` of their range on either side."""
    low, high = float(values.min()), float(values.max())
    if log:
        margin = max((high / low) ** share, 1.02)
        return low / margin, high * margin
    margin = max((high - low) * share, 1e-9 + 0.01 * abs(high))
    return low - margin, high + margin


def legend_above(axes: Axes, *, columns: int, **options: Any) -> None:
    """A legend in a row above the axes, flush left with them."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        bbox_transform=axes.transAxes,
        ncols=columns,
        borderaxespad=0.3,
        borderpad=0.2,
        handletextpad=0.4,
        columnspacing=1.3,
        handlelength=1.4,
        labelcolor=LIGHT["muted"],
        **options,
    )
