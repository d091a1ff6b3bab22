"""The Pareto front: accuracy against latency, with what was measured afresh."""

from collections.abc import Sequence
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes as PlotAxes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_host.report.data import MAX_BEHIND, UNSTABLE, Axes, ReportData, behind, percent_of
from hytnas_host.report.figures.base import (
    Drawing,
    FigureSpec,
    Size,
    Tooltip,
    both_widths,
    figure_of,
    legend_above,
    legend_mark,
    new_axes,
    number_axis,
    padded,
    series,
    spans_decade,
    unstable_words,
)
from hytnas_host.report.theme import LIGHT, PICK_COLOURS, RC
from hytnas_host.report.words import NBSP, count, milliseconds, percent, significant
from hytnas_host.search.result import Evaluated, SearchResult

RAMP: Final = (LIGHT["ramp0"], LIGHT["ramp1"], LIGHT["ramp2"], LIGHT["ramp3"])
EXTRAPOLATED: Final = "outside the range of training"
AREAS: Final = (80.0, 115.0, 160.0, 210.0)


def describe(data: ReportData) -> FigureSpec | None:
    """The figure, or ``None`` where there is no front over latency and accuracy."""
    search = data.search
    if search is None or not search.front:
        return None
    axes = Axes.of(search.objectives)
    if axes.latency is None or axes.accuracy is None:
        return None
    measured = bool(data.verified())
    all_shown = len(behind(search)) + len(search.front) >= len(search.evaluated)
    caption = (
        ("Every dot is an architecture" if all_shown else f"The dots are the front and {MAX_BEHIND:,} others")
        + " that the search evaluated with the predictors; the blue ones are its "
        "Pareto front. The line joins those that no other beats in latency and accuracy alone"
        + (
            "; the rest are on the front for their smaller parameter count. "
            if axes.params is not None
            else ". "
        )
        + (
            "Diamonds are what the device gave afresh, with the 95 % interval; a hairline leads back to the "
            "prediction."
            if measured
            else "Nothing on the front has been measured afresh yet."
        )
        + unstable_words(_unstable(data))
    )
    alt = (
        f"Predicted accuracy against latency of {len(search.evaluated)} evaluated architectures, "
        f"{len(search.front)} of them on the Pareto front"
        + (", with freshly measured latencies and their intervals." if measured else ".")
    )
    return FigureSpec(
        key="front",
        title="Pareto front",
        caption=caption,
        alt=alt,
        sizes=both_widths((1000, 560), (380, 470)),
        draw=lambda size: draw(data, search, axes, size),
        focusable=frozenset({"front"}),
    )


def draw(data: ReportData, search: SearchResult, axes: Axes, size: Size) -> Drawing:
    """The front on axes of its own."""
    with mpl.rc_context(RC):
        top = 84 + 22 * any(_unstable(data)) if size.narrow else 32
        plot = new_axes(size, left=44, top=top, bottom=46)
        points = draw_on(plot, data, search, axes, columns=2 if size.narrow else None)
        return Drawing(figure_of(plot), points)


def draw_on(
    plot: PlotAxes, data: ReportData, search: SearchResult, axes: Axes, *, columns: int | None
) -> dict[str, list[Tooltip]]:
    """Draw into ``plot``, the legend in so many columns (``None``: one row); returns the series' tooltips."""
    assert axes.latency is not None
    assert axes.accuracy is not None
    objective = search.objectives[axes.accuracy]

    def places(members: Sequence[Evaluated]) -> NDArray[np.float64]:
        return np.array(
            [
                (m.values[axes.latency or 0], percent_of(m.values[axes.accuracy or 0], objective))
                for m in members
            ]
        ).reshape(-1, 2)

    others = behind(search)
    dominated, front = places(others), places(search.front)
    everything = np.concatenate([dominated, front])
    _scale(plot, data, everything)
    series(
        plot,
        "evaluated",
        dominated[:, 0],
        dominated[:, 1],
        area=13,
        color=LIGHT["faint"],
        alpha=0.7,
        linewidths=0,
    )
    _staircase(plot, front)
    _measured(plot, data, search, front)
    bins, edges = _bins(search, axes)
    series(
        plot,
        "front",
        front[:, 0],
        front[:, 1],
        area=[AREAS[b] for b in bins],
        c=[RAMP[b] for b in bins],
        edgecolors=LIGHT["surface"],
        linewidths=1.2,
        zorder=4,
    )
    _picks(plot, search, front)
    verified = bool(data.verified())
    plot.set_xlabel(f"latency, ms ({_provenance(data, short=columns is not None)})")
    plot.set_ylabel("predicted accuracy, %")
    unstable = any(_unstable(data))
    _legend(plot, edges, columns=columns, measured=verified, unstable=unstable, any_behind=bool(others))
    return {
        "evaluated": [_tooltip(data, search, axes, member, "Evaluated") for member in others],
        "front": [_tooltip(data, search, axes, member, "On the front") for member in search.front],
    }


def _unstable(data: ReportData) -> list[bool]:
    """Of each freshly measured front member, whether its interval is wider than was asked for."""
    return [row.outcome == UNSTABLE for row in data.verified().values()]


def _provenance(data: ReportData, *, short: bool) -> str:
    """Where the latencies of dots and diamonds come from; never short where they are not real."""
    if data.execution != "native":
        return f"predicted; {EXECUTION_WORDS[data.execution]}"
    if not data.verified():
        return "predicted"
    return f"predicted; ◆ {'measured' if short else EXECUTION_WORDS['native']}"


def _scale(plot: PlotAxes, data: ReportData, everything: NDArray[np.float64]) -> None:
    bounds = [
        bound
        for row in data.verified().values()
        for bound in (row.ci_low_ms, row.ci_high_ms, row.measured_ms)
        if bound is not None
    ]
    latencies = np.concatenate([everything[:, 0], bounds])
    log = spans_decade(latencies)
    number_axis(plot, "x", log=log, subs=(1.0, 2.0, 3.0, 5.0, 7.0))
    plot.set_xlim(padded(latencies, log=log, share=0.05))
    plot.set_ylim(padded(everything[:, 1], log=False, share=0.11))


def _staircase(plot: PlotAxes, front: NDArray[np.float64]) -> None:
    """Join the members that are non-dominated in the two drawn objectives."""
    order = np.lexsort((-front[:, 1], front[:, 0]))
    best, kept = -np.inf, []
    for position in order:
        if front[position, 1] > best:
            best = front[position, 1]
            kept.append(position)
    plot.step(front[kept, 0], front[kept, 1], where="post", color=LIGHT["ramp2"], linewidth=1.4, alpha=0.55)


def _measured(plot: PlotAxes, data: ReportData, search: SearchResult, front: NDArray[np.float64]) -> None:
    verified = data.verified()
    for member, (x, y) in zip(search.front, front, strict=True):
        row = verified.get(member.architecture)
        if row is None or row.measured_ms is None:
            continue
        plot.plot([x, row.measured_ms], [y, y], color=LIGHT["muted"], linewidth=0.8, zorder=2.5)
        if row.ci_low_ms is not None and row.ci_high_ms is not None:
            plot.plot([row.ci_low_ms, row.ci_high_ms], [y, y], color=LIGHT["ink"], linewidth=2, zorder=5)
        plot.plot(
            [row.measured_ms],
            [y],
            "D",
            markersize=6.0,
            markerfacecolor=LIGHT["surface" if row.outcome == UNSTABLE else "ink"],
            markeredgecolor=LIGHT["ink" if row.outcome == UNSTABLE else "surface"],
            markeredgewidth=1.4 if row.outcome == UNSTABLE else 1,
            zorder=6,
        )


def _bins(search: SearchResult, axes: Axes) -> tuple[list[int], list[float]]:
    """The parameter class of each front member, 0 to 3, and the three edges between the classes."""
    if axes.params is None:
        return [2] * len(search.front), []
    params = np.array([member.values[axes.params] for member in search.front])
    edges = sorted({_round_two(value) for value in np.quantile(params, (0.25, 0.5, 0.75))})
    return [int(b) for b in np.searchsorted(edges, params, side="left")], edges


def _round_two(value: float) -> float:
    return float(f"{value:.1e}")


def _picks(plot: PlotAxes, search: SearchResult, front: NDArray[np.float64]) -> None:
    where = {member.architecture: place for member, place in zip(search.front, front, strict=True)}
    labels: dict[str, list[str]] = {}
    for pick in search.picks:
        labels.setdefault(pick.architecture, []).append(pick.label)
    for architecture, names in labels.items():
        if architecture not in where:
            continue
        colour = LIGHT[PICK_COLOURS[names[0]]]
        x, y = where[architecture]
        plot.scatter(
            [x], [y], s=480, facecolors="none", edgecolors=colour, linewidths=2.2, zorder=6, clip_on=False
        )
        plot.annotate(
            " = ".join(names),
            (x, y),
            xytext=(0, 14),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=14,
            fontweight="bold",
            color=colour,
            zorder=7,
        )


def _legend(
    plot: PlotAxes,
    edges: list[float],
    *,
    columns: int | None,
    measured: bool,
    unstable: bool,
    any_behind: bool,
) -> None:
    def dot(colour: str, area: float, marker: str = "o") -> Line2D:
        return Line2D(
            [], [], marker=marker, color=colour, markersize=area**0.5, linestyle="", markeredgewidth=0
        )

    handles, labels = [], []
    if any_behind:
        handles.append(dot(LIGHT["faint"], 13))
        labels.append("evaluated")
    if edges:
        for position, edge in enumerate(edges):
            handles.append(dot(RAMP[position], AREAS[position]))
            labels.append(("≤ " if position else "front: ≤ ") + count(edge, 2))
        handles.append(dot(RAMP[len(edges)], AREAS[len(edges)]))
        labels.append(f"> {count(edges[-1], 2)} parameters")
    else:
        handles.append(dot(RAMP[2], AREAS[2]))
        labels.append("front")
    if measured:
        handles.append(dot(LIGHT["ink"], 21, "D"))
        labels.append("measured, 95 % interval")
    if unstable:
        handles.append(legend_mark(LIGHT["ink"], "D", hollow=True))
        labels.append(UNSTABLE)
    legend_above(plot, columns=columns or len(handles), handles=handles, labels=labels)


def _tooltip(data: ReportData, search: SearchResult, axes: Axes, member: Evaluated, role: str) -> Tooltip:
    assert axes.latency is not None
    assert axes.accuracy is not None
    picks = [pick.label for pick in search.picks if pick.architecture == member.architecture]
    rows = [("Predicted latency", milliseconds(member.values[axes.latency]))]
    row = data.verified().get(member.architecture)
    if row is not None:
        rows.append(
            ("Measured afresh", measured_words(row.measured_ms, row.ci_low_ms, row.ci_high_ms, row.outcome))
        )
    accuracy = percent_of(member.values[axes.accuracy], search.objectives[axes.accuracy])
    rows.append(("Predicted accuracy", percent(accuracy)))
    if axes.params is not None:
        rows.append(("Parameters", count(member.values[axes.params])))
    if member.extrapolated:
        rows.append(("Prediction", EXTRAPOLATED))
    return Tooltip(
        f"{' = '.join(picks)}: {role.lower()}" if picks else role, tuple(rows), member.architecture
    )


def measured_words(median: float | None, low: float | None, high: float | None, outcome: str) -> str:
    """A measured latency with its interval, marked if UNSTABLE; the outcome where there is none."""
    if median is None:
        return outcome
    interval = ""
    if low is not None and high is not None:
        interval = f" ({significant(low)}{NBSP}\u2013{NBSP}{significant(high)})"
    return milliseconds(median) + interval + (f", {UNSTABLE}" if outcome == UNSTABLE else "")
