"""Drift of the device: the canary model, measured again and again between the others."""

from itertools import cycle

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_host.report.data import CanarySeries, ReportData
from hytnas_host.report.figures.base import (
    Drawing,
    FigureSpec,
    Size,
    Tooltip,
    both_widths,
    figure_of,
    legend_above,
    new_axes,
    series,
)
from hytnas_host.report.theme import LIGHT, RC
from hytnas_host.report.words import milliseconds, signed_percent

DRIFT_LIMIT_PERCENT = 3.0
# Devices are told apart by the form of their marks as well as by their colours.
_STYLES = (("blue", "o"), ("orange", "s"), ("latency", "^"), ("accuracy", "D"), ("muted", "v"))


def describe(data: ReportData) -> FigureSpec | None:
    """The figure, or ``None`` where no canary was measured more than once on a device."""
    shown = _shown(data)
    if not shown:
        return None
    drift = np.concatenate([_drift_percent(one) for one in shown])
    devices, each = (f" on {len(shown)} devices", " on each device") if len(shown) > 1 else ("", "")
    return FigureSpec(
        key="canary",
        title="Canary: drift of the device" + ("s" if len(shown) > 1 else ""),
        caption=f"One model measured between the others, against its first time{each}. "
        f"Outside the band of ±{DRIFT_LIMIT_PERCENT:g} % the device itself had changed.",
        alt=f"Canary latency over {drift.size} measurements{devices}, between {drift.min():+.1f} and "
        f"{drift.max():+.1f} percent of the first.",
        sizes=both_widths((1000, 250), (380, 260)),
        draw=lambda size: _draw(data, size),
    )


def _shown(data: ReportData) -> list[CanarySeries]:
    return [one for one in data.canary if len(one.points) > 1]


def _drift_percent(one: CanarySeries) -> NDArray[np.float64]:
    medians = np.array([point.median_ms for point in one.points])
    return np.asarray(100 * (medians / medians[0] - 1), dtype=np.float64)


def _draw(data: ReportData, size: Size) -> Drawing:
    shown = _shown(data)
    reach = DRIFT_LIMIT_PERCENT * 1.4
    tooltips: dict[str, list[Tooltip]] = {}
    with mpl.rc_context(RC):
        plot = new_axes(size, left=50, top=16 if len(shown) == 1 else 16 + 22 * len(shown))
        plot.axhspan(-DRIFT_LIMIT_PERCENT, DRIFT_LIMIT_PERCENT, color=LIGHT["band"], linewidth=0, zorder=0)
        plot.axhline(0, color=LIGHT["muted"], linewidth=1, linestyle=(0, (4, 3)))
        for number, (one, (colour, mark)) in enumerate(zip(shown, cycle(_STYLES), strict=False)):
            name = f"canary{number}" if number else "canary"
            minutes, drift = [point.minutes for point in one.points], _drift_percent(one)
            reach = max(reach, float(np.abs(drift).max()) * 1.15)
            plot.plot(minutes, drift, color=LIGHT[colour], linewidth=1.2)
            style = {"color": LIGHT[colour], "marker": mark, "linewidths": 0, "label": one.device}
            series(plot, name, minutes, drift, area=30, **style)
            tooltips[name] = _tooltips(one, drift, EXECUTION_WORDS[data.execution])
        if len(shown) > 1:
            legend_above(plot, columns=1)
        plot.set_ylim(-reach, reach)
        plot.set_xlabel(f"minutes; latencies: {EXECUTION_WORDS[data.execution]}")
        plot.set_ylabel("latency change, %")
    return Drawing(figure_of(plot), tooltips)


def _tooltips(one: CanarySeries, drift_percent: NDArray[np.float64], words: str) -> list[Tooltip]:
    return [
        Tooltip(
            f"Canary on {one.device}",
            (
                (f"Latency ({words})", milliseconds(point.median_ms)),
                ("Against the first", signed_percent(float(change))),
                ("After", f"{point.minutes:.1f} min"),
            ),
        )
        for point, change in zip(one.points, drift_percent, strict=True)
    ]
