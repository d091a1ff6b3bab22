"""Predicted against measured: out of fold for every label, and afresh for the front and its controls."""

from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_datasets.targets import LATENCY, Target
from hytnas_host.report.data import UNSTABLE, ReportData
from hytnas_host.report.figures.base import (
    Drawing,
    FigureSpec,
    Size,
    Tooltip,
    add_axes,
    both_widths,
    figure_of,
    hollow_style,
    legend_above,
    legend_mark,
    new_axes,
    number_axis,
    padded,
    series,
    spans_decade,
    unstable_words,
)
from hytnas_host.report.figures.front import measured_words
from hytnas_host.report.theme import LIGHT, RC
from hytnas_host.report.words import difference, milliseconds, quantity, signed_percent
from hytnas_host.search.result import Verification, VerifiedRow
from hytnas_predictors.result import Leaderboard

BAND_PERCENT: Final = 10.0
ERROR_PX: Final = 150
"""Height of the panel of errors below a panel of latencies."""

LEFT: Final = 50


def describe_out_of_fold(data: ReportData, target: Target) -> FigureSpec | None:
    """Out-of-fold predictions of the best predictor, or ``None`` where none were kept."""
    board = data.leaderboard(target)
    if board is None or not board.scores:
        return None
    best = board.scores[0].predictor
    kept = next((fold.predicted for fold in board.out_of_fold if fold.predictor == best), None)
    if not kept:
        return None
    relative, what = target.noise != "absolute", target.words

    def draw(size: Size) -> Drawing:
        draw_as = _draw_relative if relative else _draw_absolute
        return draw_as(data, board, target, kept, size)

    return FigureSpec(
        key=f"agreement-{target.slug}",
        title=f"Out of fold, {what}: {best}",
        caption=f"Each dot is one {_done(target)} network, predicted by {best} fitted "
        "without it. "
        + (
            "On the dashed line: exact; inside the band: within ±10 %. Below, the error alone."
            if relative
            else "On the dashed line: exact; a flat cloud: the predictor says little."
        )
        + unstable_words(_unstable(data, board, target)),
        alt=f"Out-of-fold predictions of {what} by {best} against {len(kept)} labels.",
        sizes=both_widths((480, 560), (330, 480)) if relative else both_widths((480, 430), (330, 330)),
        draw=draw,
    )


def _draw_relative(
    data: ReportData, board: Leaderboard, target: Target, kept: tuple[float, ...], size: Size
) -> Drawing:
    """Predictions against labels, and below them the errors in percent of the label."""
    measured, predicted = np.array(board.measured), np.array(kept)
    errors = 100 * (predicted / measured - 1)
    unstable, shown = _unstable(data, board, target), target.display
    style: dict[str, Any] = {"area": 28, "edgecolors": LIGHT["blue"], "alpha": 0.7, "zorder": 3}
    style |= hollow_style(LIGHT["blue"], unstable)
    with mpl.rc_context(RC):
        x, y = shown.factor * measured, shown.factor * predicted
        plot, below = _panels(size, x, y, errors, unit=shown.unit)
        series(plot, "labels", x, y, **style)
        series(below, "errors", x, errors, **style)
        below.set_xlabel(data.axis(target))
    tooltips = [
        Tooltip(
            "Out of fold",
            (
                (_done(target).capitalize(), quantity(float(m), target) + f", {UNSTABLE}" * wide),
                ("Predicted", quantity(float(p), target)),
                ("Error", signed_percent(float(e))),
            ),
            architecture,
        )
        for architecture, m, p, e, wide in zip(
            board.architectures, measured, predicted, errors, unstable, strict=True
        )
    ]
    return Drawing(figure_of(plot), {"labels": tooltips, "errors": tooltips})


def _done(target: Target) -> str:
    """What was done with a network for its label."""
    return "measured" if target.of_device else "trained"


def _unstable(data: ReportData, board: Leaderboard, target: Target) -> list[bool]:
    """Of each label of the leaderboard, whether it is of timed runs and UNSTABLE in the study."""
    return [target.is_timed and architecture in data.unstable for architecture in board.architectures]


def _draw_absolute(
    data: ReportData, board: Leaderboard, target: Target, kept: tuple[float, ...], size: Size
) -> Drawing:
    """Predictions against labels."""
    factor = target.display.factor
    trained, predicted = factor * np.array(board.measured), factor * np.array(kept)
    with mpl.rc_context(RC):
        plot = new_axes(size, left=LEFT)
        limits = padded(np.concatenate([trained, predicted]), log=False)
        plot.set_xlim(limits)
        plot.set_ylim(limits)
        _diagonal(plot, limits)
        series(
            plot,
            "labels",
            trained,
            predicted,
            area=30,
            color=LIGHT["blue"],
            alpha=0.75,
            linewidths=0,
            zorder=3,
        )
        plot.set_xlabel(f"{_done(target)} {data.axis(target)}")
        plot.set_ylabel(f"predicted {target.words}, {target.display.unit}")
    tooltips = [
        Tooltip(
            "Out of fold",
            (
                (_done(target).capitalize(), quantity(t, target)),
                ("Predicted", quantity(p, target)),
                ("Error", difference(p - t, target, signed=True)),
            ),
            architecture,
        )
        for architecture, t, p in zip(board.architectures, board.measured, kept, strict=True)
    ]
    return Drawing(figure_of(plot), {"labels": tooltips})


def describe_verification(data: ReportData) -> FigureSpec | None:
    """Front and controls measured afresh, or ``None`` before that."""
    verification = data.verification
    if verification is None or not any(row.measured_ms is not None for row in verification.rows):
        return None
    fronts = sum(row.role == "front" for row in verification.rows)
    return FigureSpec(
        key="verification",
        title="Verified afresh on the device",
        caption="Front members and random controls, measured again in new processes; bars are 95 % "
        "intervals, the band is ±10 %. A front that lies lower than its controls was chosen for "
        "lucky predictions." + unstable_words([row.outcome == UNSTABLE for row in verification.rows]),
        alt=f"Measured against predicted latency of {fronts} front members and "
        f"{len(verification.rows) - fronts} random controls.",
        sizes=both_widths((480, 560), (330, 480)),
        draw=lambda size: _draw_verification(verification, size),
        focusable=frozenset({"fronts", "controls"}),
    )


def _draw_verification(verification: Verification, size: Size) -> Drawing:
    rows = [row for row in verification.rows if row.measured_ms is not None]
    measured = np.array([row.measured_ms for row in rows], dtype=float)
    predicted = np.array([row.predicted_ms for row in rows])
    ends = np.array([_error_interval(row) for row in rows])
    points: dict[str, list[Tooltip]] = {}
    handles, labels = [], []
    with mpl.rc_context(RC):
        plot, below = _panels(size, measured, predicted, ends.ravel(), unit=LATENCY.unit)
        for role, marker, colour in (("front", "o", LIGHT["blue"]), ("control", "s", LIGHT["orange"])):
            chosen = [row for row in rows if row.role == role]
            if chosen:
                _verified_rows(plot, below, chosen, role, {"marker": marker, "color": colour})
                tooltips = [_verified_tooltip(row) for row in chosen]
                points |= {f"{role}s": tooltips, f"{role}-errors": tooltips}
                handles.append(legend_mark(colour, marker))
                labels.append("front" if role == "front" else "random controls")
        legend_above(plot, columns=2, handles=handles, labels=labels)
        below.set_xlabel(f"latency, ms ({EXECUTION_WORDS[verification.execution]})")
    return Drawing(figure_of(plot), points)


def _verified_rows(plot: Axes, below: Axes, rows: list[VerifiedRow], role: str, look: dict[str, Any]) -> None:
    """The marks of one role in both panels, with the measured intervals as bars."""
    measured = np.array([row.measured_ms for row in rows], dtype=float)
    predicted = np.array([row.predicted_ms for row in rows])
    for row, at in zip(rows, measured, strict=True):
        bar = {"color": look["color"], "linewidth": 1.6, "zorder": 3}
        if row.ci_low_ms is not None and row.ci_high_ms is not None:
            plot.plot([row.ci_low_ms, row.ci_high_ms], [row.predicted_ms] * 2, **bar)
        below.plot([at, at], _error_interval(row), **bar)
    colour = look["color"]
    wide = [row.outcome == UNSTABLE for row in rows]
    edges = [colour if each else LIGHT["surface"] for each in wide]
    faces = [LIGHT["surface"] if each else colour for each in wide]
    style = {"area": 44, "marker": look["marker"], "edgecolors": edges, "facecolors": faces, "zorder": 4}
    series(plot, f"{role}s", measured, predicted, **style)
    series(below, f"{role}-errors", measured, 100 * (predicted / measured - 1), **style)


def _error_interval(row: VerifiedRow) -> tuple[float, float]:
    """The error at both ends of the measured interval; the error itself where there is none."""
    low, high = row.ci_low_ms or row.measured_ms, row.ci_high_ms or row.measured_ms
    assert low is not None
    assert high is not None
    return 100 * (row.predicted_ms / high - 1), 100 * (row.predicted_ms / low - 1)


def _verified_tooltip(row: VerifiedRow) -> Tooltip:
    assert row.measured_ms is not None
    return Tooltip(
        "On the front" if row.role == "front" else "Random control",
        (
            ("Measured afresh", measured_words(row.measured_ms, row.ci_low_ms, row.ci_high_ms, row.outcome)),
            ("Predicted", milliseconds(row.predicted_ms)),
            ("Error", signed_percent(100 * (row.predicted_ms / row.measured_ms - 1))),
        ),
        row.architecture,
    )


def _panels(
    size: Size,
    measured: NDArray[np.float64],
    predicted: NDArray[np.float64],
    errors: NDArray[np.float64],
    *,
    unit: str,
) -> tuple[Axes, Axes]:
    """Predicted against measured with equal limits, and below it the error on the same horizontal axis."""
    error_px = ERROR_PX - 30 if size.narrow else ERROR_PX
    plot = new_axes(size, left=LEFT, top=34, bottom=46 + error_px + 24)
    below = add_axes(figure_of(plot), size, left=LEFT, right=16, top=size.height - 46 - error_px, bottom=46)
    both = np.concatenate([measured, predicted])
    log = spans_decade(both)
    limits = padded(both, log=log)
    for axes, which in ((plot, "x"), (plot, "y"), (below, "x")):
        number_axis(axes, which, log=log)
        (axes.set_xlim if which == "x" else axes.set_ylim)(limits)
    plot.tick_params(axis="x", labelbottom=False)
    plot.set_ylabel(f"predicted, {unit}")
    ends = np.geomspace(*limits, 50) if log else np.linspace(*limits, 2)
    share = BAND_PERCENT / 100
    plot.fill_between(
        ends, (1 - share) * ends, (1 + share) * ends, color=LIGHT["band"], linewidth=0, zorder=1
    )
    _diagonal(plot, limits)
    below.axhspan(-BAND_PERCENT, BAND_PERCENT, color=LIGHT["band"], linewidth=0, zorder=0)
    below.axhline(0, color=LIGHT["muted"], linewidth=1, linestyle=(0, (4, 3)), zorder=2)
    reach = max(1.25 * BAND_PERCENT, 1.1 * float(np.abs(errors).max()))
    below.set_ylim(-reach, reach)
    below.set_ylabel("error, %")
    return plot, below


def _diagonal(plot: Axes, limits: tuple[float, float]) -> None:
    plot.plot(limits, limits, color=LIGHT["muted"], linewidth=1, linestyle=(0, (4, 3)), zorder=2)
