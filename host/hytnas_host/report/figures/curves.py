"""Learning curves: Kendall tau and mean error of each predictor against the number of labels."""

from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator

from hytnas_datasets.targets import Target
from hytnas_host.report.data import ReportData
from hytnas_host.report.figures.base import (
    Drawing,
    FigureSpec,
    Size,
    Tooltip,
    add_axes,
    both_widths,
    figure_of,
    legend_above,
    new_axes,
    series,
)
from hytnas_host.report.theme import LIGHT, RC
from hytnas_host.report.words import percent
from hytnas_predictors.result import CurvePoint, Leaderboard, LearningCurve

LEFT: Final = 50
ERROR_SHARE: Final = 0.44
LEGEND_ROW_PX: Final = 18
COLOURS: Final = ("blue", "orange", "latency", "accuracy", "tradeoff")
"""Of the best predictors; those after them share a faint grey."""
MARKERS: Final = ("o", "s", "^", "D", "v")


def describe(data: ReportData, target: Target) -> FigureSpec | None:
    """The figure of one target, or ``None`` where no curves were drawn up."""
    board = data.leaderboard(target)
    if board is None or not board.curves or len(board.curves[0].points) < 2:
        return None
    best, last = board.curves[0], board.curves[0].points[-1]
    return FigureSpec(
        key=f"curves-{target.slug}",
        title=f"What more labels bring, {target.words}",
        caption="Each predictor fitted to random samples of the labels and tested on all other networks. "
        "Above, Kendall's τ; below, the mean error. Bands: the middle 80 % of the samples of the first one.",
        alt=f"Learning curves of {len(board.curves)} predictors of {target.words}; {best.predictor} reaches "
        f"a Kendall tau of {last.kendall_tau.value:.3f} with {last.labels} labels.",
        sizes=both_widths((480, 440), (330, 400)),
        draw=lambda size: _draw(board, size),
    )


def _draw(board: Leaderboard, size: Size) -> Drawing:
    split = round(ERROR_SHARE * size.height)
    with mpl.rc_context(RC):
        rows = -(-len(board.curves) // _columns(narrow=size.narrow))
        above = new_axes(size, left=LEFT, top=16 + LEGEND_ROW_PX * rows, bottom=split)
        below = add_axes(figure_of(above), size, left=LEFT, right=16, top=size.height - split + 26, bottom=48)
        points: dict[str, list[Tooltip]] = {}
        for place, curve in enumerate(board.curves):
            points |= _draw_curve(above, below, curve, place)
        _finish(above, below, board, narrow=size.narrow)
        return Drawing(figure_of(above), points)


def _draw_curve(above: Axes, below: Axes, curve: LearningCurve, place: int) -> dict[str, list[Tooltip]]:
    """One predictor's line in both panels; the tooltips of its marks."""
    coloured = place < len(COLOURS)
    colour = LIGHT[COLOURS[place] if coloured else "faint"]
    marker = MARKERS[place % len(MARKERS)]
    labels = np.array([float(point.labels) for point in curve.points])
    tooltips = [_tooltip(curve, point) for point in curve.points]
    found = {}
    for plot, name, factor in ((above, "kendall_tau", 1.0), (below, "mape", 100.0)):
        value, low, high = (
            factor * np.array([getattr(getattr(point, name), part) for point in curve.points])
            for part in ("value", "low", "high")
        )
        if place == 0:
            plot.fill_between(labels, low, high, color=LIGHT["band"], linewidth=0, zorder=1)
        plot.plot(labels, value, color=colour, linewidth=2 if place == 0 else 1.3, zorder=3 - 0.1 * place)
        key = f"{name}-{place}"
        series(plot, key, labels, value, area=26, color=colour, marker=marker, linewidths=0, zorder=4)
        found[key] = tooltips
    above.plot([], [], color=colour, marker=marker, linewidth=1.6, markersize=5, label=curve.predictor)
    return found


def _tooltip(curve: LearningCurve, point: CurvePoint) -> Tooltip:
    tau, error = point.kendall_tau, point.mape
    return Tooltip(
        f"{curve.predictor}, {point.labels} labels",
        (
            ("Kendall τ", f"{tau.value:.3f} [{tau.low:.3f}, {tau.high:.3f}]"),
            (
                "Mean error",
                f"{percent(100 * error.value)} [{percent(100 * error.low)}, {percent(100 * error.high)}]",
            ),
        ),
    )


def _finish(above: Axes, below: Axes, board: Leaderboard, *, narrow: bool) -> None:
    sizes = [point.labels for point in board.curves[0].points]
    for plot in (above, below):
        plot.set_xscale("log")
        plot.xaxis.set_minor_locator(NullLocator())
        plot.xaxis.set_minor_formatter(NullFormatter())
        plot.set_xticks(sizes, [str(size) for size in sizes])
    above.tick_params(labelbottom=False)
    above.set_ylabel("Kendall τ")
    above.set_ylim(top=1.0)
    below.set_ylabel("mean error, %")
    below.set_ylim(bottom=0.0)
    below.set_xlabel("labels")
    legend_above(above, columns=_columns(narrow=narrow))


def _columns(*, narrow: bool) -> int:
    return 3 if narrow else 5
