"""Drift of the device: the canary model, measured again and again between the others."""

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_host.report.data import ReportData
from hytnas_host.report.figures.base import (
    Drawing,
    FigureSpec,
    Size,
    Tooltip,
    both_widths,
    figure_of,
    new_axes,
    series,
)
from hytnas_host.report.theme import LIGHT, RC
from hytnas_host.report.words import milliseconds, signed_percent

DRIFT_LIMIT_PERCENT = 3.0


def describe(data: ReportData) -> FigureSpec | None:
    """The figure, or ``None`` where no canary was measured more than once."""
    if len(data.canary) < 2:
        return None
    drift = _drift(data)
    return FigureSpec(
        key="canary",
        title="Canary: drift of the device",
        caption=f"One model measured between the others, against its first time. Outside the band of "
        f"±{DRIFT_LIMIT_PERCENT:g} % the device itself had changed.",
        alt=f"Canary latency over {len(data.canary)} measurements, between {drift.min():+.1f} and "
        f"{drift.max():+.1f} percent of the first.",
        sizes=both_widths((1000, 250), (380, 260)),
        draw=lambda size: _draw(data, size),
    )


def _drift(data: ReportData) -> NDArray[np.float64]:
    medians = np.array([point.median_ms for point in data.canary])
    return np.asarray(100 * (medians / medians[0] - 1), dtype=np.float64)


def _draw(data: ReportData, size: Size) -> Drawing:
    minutes = [point.minutes for point in data.canary]
    drift = _drift(data)
    reach = max(DRIFT_LIMIT_PERCENT * 1.4, float(np.abs(drift).max()) * 1.15)
    with mpl.rc_context(RC):
        plot = new_axes(size, left=50)
        plot.axhspan(-DRIFT_LIMIT_PERCENT, DRIFT_LIMIT_PERCENT, color=LIGHT["band"], linewidth=0, zorder=0)
        plot.axhline(0, color=LIGHT["muted"], linewidth=1, linestyle=(0, (4, 3)))
        plot.plot(minutes, drift, color=LIGHT["blue"], linewidth=1.2)
        series(plot, "canary", minutes, list(drift), area=30, color=LIGHT["blue"], linewidths=0)
        plot.set_ylim(-reach, reach)
        plot.set_xlabel(f"minutes; latencies: {EXECUTION_WORDS[data.execution]}")
        plot.set_ylabel("latency change, %")
    tooltips = [
        Tooltip(
            "Canary",
            (
                (f"Latency ({EXECUTION_WORDS[data.execution]})", milliseconds(point.median_ms)),
                ("Against the first", signed_percent(float(change))),
                ("After", f"{point.minutes:.1f} min"),
            ),
        )
        for point, change in zip(data.canary, drift, strict=True)
    ]
    return Drawing(figure_of(plot), {"canary": tooltips})
