"""Predicted against measured: out of fold for every label, and afresh for the front and its controls."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hytnas_host.report.data import EXECUTION_WORDS, ReportData
from hytnas_host.report.figures.base import (
    Drawing,
    FigureSpec,
    Size,
    Tooltip,
    figure_of,
    legend_above,
    new_axes,
    number_axis,
    padded,
    series,
    spans_decade,
)
from hytnas_host.report.figures.front import measured_words
from hytnas_host.report.theme import LIGHT, RC
from hytnas_host.report.words import milliseconds, percent, signed_percent
from hytnas_host.search.result import Verification, VerifiedRow
from hytnas_predictors.result import Leaderboard


def describe_out_of_fold(data: ReportData, target: str) -> FigureSpec | None:
    """Out-of-fold predictions of the best predictor, or ``None`` where none were kept."""
    board = data.leaderboard(target)
    if board is None or not board.scores:
        return None
    best = board.scores[0].predictor
    kept = next((fold.predicted for fold in board.out_of_fold if fold.predictor == best), None)
    if not kept:
        return None
    latency = target == "latency_ms"
    what = "latency" if latency else "accuracy"
    return FigureSpec(
        key=f"agreement-{what}",
        title=f"Out of fold, {what}: {best}",
        caption=f"Each dot is one {'measured' if latency else 'trained'} network, predicted by {best} fitted "
        "without it. On the line: exact"
        + ("; inside the band: within ±10 %." if latency else "; a flat cloud: the predictor says little."),
        alt=f"Out-of-fold predictions of {what} by {best} against {len(kept)} labels.",
        sizes=(Size(480, 440),),
        draw=lambda size: _draw_out_of_fold(data, board, kept, size),
    )


def _draw_out_of_fold(
    data: ReportData, board: Leaderboard, predicted_values: tuple[float, ...], size: Size
) -> Drawing:
    latency = board.target == "latency_ms"
    scale = 1.0 if latency else 100.0
    measured = scale * np.array(board.measured)
    predicted = scale * np.array(predicted_values)
    with mpl.rc_context(RC):
        plot = new_axes(size, left=56)
        _square(plot, measured, predicted, band=latency)
        series(
            plot, "labels", measured, predicted, area=30, color=LIGHT["blue"], alpha=0.7, linewidths=0, zorder=3
        )
        if latency:
            plot.set_xlabel(data.latency_axis)
            plot.set_ylabel("predicted latency, ms")
        else:
            plot.set_xlabel("trained accuracy, %")
            plot.set_ylabel("predicted accuracy, %")
    words = milliseconds if latency else percent
    tooltips = [
        Tooltip(
            "Out of fold",
            (
                ("Measured" if latency else "Trained", words(float(m))),
                ("Predicted", words(float(p))),
                ("Error", signed_percent(100 * (p / m - 1)) if latency else f"{p - m:+.1f} points"),
            ),
            architecture,
        )
        for architecture, m, p in zip(board.architectures, measured, predicted, strict=True)
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
        caption="Front members and as many random controls, measured again with new processes; bars are 95 % "
        "intervals, the band is ±10 %. Front members below the line: the search picked lucky predictions.",
        alt=f"Measured against predicted latency of {fronts} front members and "
        f"{len(verification.rows) - fronts} random controls.",
        sizes=(Size(480, 440),),
        draw=lambda size: _draw_verification(data, verification, size),
        focusable=frozenset({"fronts", "controls"}),
    )


def _draw_verification(data: ReportData, verification: Verification, size: Size) -> Drawing:
    rows = [row for row in verification.rows if row.measured_ms is not None]
    measured = np.array([row.measured_ms for row in rows], dtype=float)
    predicted = np.array([row.predicted_ms for row in rows])
    points = {}
    with mpl.rc_context(RC):
        plot = new_axes(size, left=56, top=40)
        bounds = np.array([b for row in rows for b in (row.ci_low_ms, row.ci_high_ms) if b is not None])
        _square(plot, np.concatenate([measured, bounds]), predicted, band=True)
        for role, marker, colour in (("front", "o", LIGHT["blue"]), ("control", "s", LIGHT["orange"])):
            chosen = [position for position, row in enumerate(rows) if row.role == role]
            if not chosen:
                continue
            for position in chosen:
                _interval(plot, rows[position], colour)
            series(
                plot,
                f"{role}s",
                measured[chosen],
                predicted[chosen],
                area=42,
                color=colour,
                marker=marker,
                edgecolors=LIGHT["surface"],
                linewidths=1,
                zorder=4,
                label="front" if role == "front" else "random controls",
            )
            points[f"{role}s"] = [_verified_tooltip(rows[position]) for position in chosen]
        legend_above(plot, columns=2)
        plot.set_xlabel(f"latency, ms ({EXECUTION_WORDS[verification.execution]})")
        plot.set_ylabel("predicted latency, ms")
    return Drawing(figure_of(plot), points)


def _interval(plot: Axes, row: VerifiedRow, colour: str) -> None:
    if row.ci_low_ms is not None and row.ci_high_ms is not None:
        plot.plot([row.ci_low_ms, row.ci_high_ms], [row.predicted_ms] * 2, color=colour, linewidth=1.6, zorder=3)


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


def _square(plot: Axes, x: NDArray[np.float64], y: NDArray[np.float64], *, band: bool) -> None:
    """Equal limits on both axes, the diagonal, and a band of 10 % around it."""
    both = np.concatenate([x, y])
    log = band and spans_decade(both)
    limits = padded(both, log=log)
    number_axis(plot, "x", log=log)
    number_axis(plot, "y", log=log)
    plot.set_xlim(limits)
    plot.set_ylim(limits)
    ends = np.array(limits)
    if band:
        plot.fill_between(ends, 0.9 * ends, 1.1 * ends, color=LIGHT["band"], linewidth=0, zorder=1)
    plot.plot(ends, ends, color=LIGHT["muted"], linewidth=1, linestyle=(0, (4, 3)), zorder=2)
