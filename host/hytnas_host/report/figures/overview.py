"""One picture of the whole study: the Pareto front, the latency leaderboard and the three picks."""

from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes as PlotAxes
from matplotlib.figure import Figure

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_host.report.data import UNSTABLE, Axes, ReportData, percent_of
from hytnas_host.report.figures.base import Drawing, FigureSpec, Size, figure_of, new_axes
from hytnas_host.report.figures.front import draw_on
from hytnas_host.report.figures.leaderboard import NAMES_PX, forest_on
from hytnas_host.report.theme import LIGHT, PICK_COLOURS, RC
from hytnas_host.report.words import count, milliseconds, percent
from hytnas_host.search.result import SearchResult
from hytnas_predictors.result import Leaderboard

LARGER = {
    "font.size": 13,
    "axes.labelsize": 13,
    "xtick.labelsize": 13,
    "ytick.labelsize": 13,
    "legend.fontsize": 13,
}
TOP = 112
SIDE = 392
PICK_NAMES = {"BL": "best latency", "O": "trade-off", "BA": "best accuracy"}


def describe(data: ReportData) -> FigureSpec | None:
    """The picture, or ``None`` where front or leaderboard is missing."""
    board, search = data.leaderboard(), data.search
    if board is None or not board.scores or search is None or not search.front:
        return None
    axes = Axes.of(search.objectives)
    if axes.latency is None or axes.accuracy is None:
        return None
    return FigureSpec(
        key="overview",
        title="Overview",
        caption="",
        alt="Left: the Pareto front, predicted accuracy against latency with fresh measurements. Right: "
        "Kendall tau of the latency predictors beside the noise ceiling, and the three picks.",
        sizes=(Size(1180, 500),),
        draw=lambda size: _draw(data, search, board, axes, size),
    )


def _draw(data: ReportData, search: SearchResult, board: Leaderboard, axes: Axes, size: Size) -> Drawing:
    with mpl.rc_context(RC | LARGER):
        front = new_axes(size, left=64, top=TOP, bottom=54, right=SIDE + 44)
        unstable = any(row.outcome == UNSTABLE for row in data.verified().values())
        draw_on(front, data, search, axes, columns=4 if unstable else 3)
        _title(front, "Accuracy against latency", above=58)
        figure = figure_of(front)
        height = min(180, 36 * (len(board.scores) + len(board.baselines)))
        forest = figure.add_axes(
            (
                (size.width - SIDE - 20 + NAMES_PX) / size.width,
                (size.height - TOP - height) / size.height,
                (SIDE - NAMES_PX - 40) / size.width,
                height / size.height,
            )
        )
        forest_on(forest, board)
        _title(forest, f"Latency predictors, {board.labels} labels", above=58, shift=-NAMES_PX)
        _picks(figure, search, data, axes, size, top=TOP + height + 84)
    return Drawing(figure)


def _title(plot: PlotAxes, text: str, *, above: float, shift: float = -40) -> None:
    plot.annotate(
        text,
        (0, 1),
        xycoords="axes fraction",
        xytext=(shift, above),
        textcoords="offset points",
        fontsize=17,
        fontweight="bold",
        va="bottom",
        annotation_clip=False,
    )


def _picks(
    figure: Figure, search: SearchResult, data: ReportData, axes: Axes, size: Size, *, top: float
) -> None:
    """A line for each pick: measured latency where there is one, accuracy, parameters."""
    assert axes.latency is not None
    assert axes.accuracy is not None
    verified = data.verified()
    marks = set()

    def write(column: float, line: float, text: str, **style: Any) -> None:
        place = ((size.width - SIDE - 20 + column) / size.width, 1 - (top + line) / size.height)
        figure.text(*place, text, va="center", **({"fontsize": 13} | style))

    for line, pick in enumerate(sorted(search.picks, key=lambda pick: list(PICK_NAMES).index(pick.label))):
        row = verified.get(pick.architecture)
        measured = row.measured_ms if row is not None else None
        words = milliseconds(measured if measured is not None else pick.values[axes.latency])
        accuracy = percent_of(pick.values[axes.accuracy], search.objectives[axes.accuracy])
        y = 30 * line
        write(0, y, pick.label, fontweight="bold", color=LIGHT[PICK_COLOURS[pick.label]], fontsize=15)
        write(36, y, PICK_NAMES[pick.label], color=LIGHT["muted"])
        mark = "*" if measured is None else "\u2020" if row is not None and row.outcome == UNSTABLE else ""
        marks.add(mark)
        write(232, y, f"{words}{mark}", fontweight="bold", ha="right")
        write(312, y, percent(accuracy), ha="right")
        if axes.params is not None:
            write(398, y, count(pick.values[axes.params]), ha="right")
    write(
        0,
        30 * len(search.picks),
        f"latency: {EXECUTION_WORDS[data.execution]} (* predicted), accuracy predicted"
        + f"; \u2020 {UNSTABLE}" * ("\u2020" in marks),
        fontsize=11,
        color=LIGHT["muted"],
    )
