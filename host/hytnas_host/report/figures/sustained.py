"""Latency under lasting load, against that of its beginning."""

from collections.abc import Sequence
from typing import Final

import matplotlib as mpl
import numpy as np

from hytnas_host.report.data import ReportData
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
from hytnas_host.report.passes import SustainedRow, count_models
from hytnas_host.report.theme import LIGHT, RC
from hytnas_host.report.words import milliseconds, signed_percent

MAX_MODELS: Final = 4
_STYLES: Final = (("blue", "-"), ("orange", "--"), ("accuracy", ":"), ("latency", "-."))


def describe(data: ReportData) -> FigureSpec | None:
    """The figure, or ``None`` where no model was kept under load for two windows."""
    rows = [row for row in data.passes.sustained if len(row.series.windows) > 1][:MAX_MODELS]
    if not rows:
        return None
    throttled = sum(row.series.throttled_after_s is not None for row in rows)
    found = f"{throttled} of {count_models(rows)} showed a sign of throttling"
    return FigureSpec(
        key="sustained",
        title="Lasting load",
        caption=f"Median latency of each window, against the first ones, {data.passes.sustained_words}. "
        f"{found}, marked by a ring.",
        alt=f"Latency change over time under load of {count_models(rows)}; {found}.",
        sizes=both_widths((1000, 250), (380, 260)),
        draw=lambda size: _draw(rows, size),
    )


def _draw(rows: Sequence[SustainedRow], size: Size) -> Drawing:
    points: dict[str, list[Tooltip]] = {}
    with mpl.rc_context(RC):
        plot = new_axes(size, left=50, top=40)
        plot.axhline(0, color=LIGHT["muted"], linewidth=1, linestyle=(0, (4, 3)))
        for number, (row, (colour, line)) in enumerate(zip(rows, _STYLES, strict=False), start=1):
            windows = row.series.windows
            ends_s = np.array([window.end_s for window in windows])
            change = np.array([100 * (window.median_ms / row.series.burst_ms - 1) for window in windows])
            name = f"sustained-{number}"
            plot.plot(
                ends_s, change, color=LIGHT[colour], linestyle=line, linewidth=1.2, label=f"model {number}"
            )
            series(plot, name, ends_s, change, area=12, color=LIGHT[colour], linewidths=0)
            points[name] = [_tooltip(row, index) for index in range(len(windows))]
            after_s = row.series.throttled_after_s
            if after_s is not None:
                # Latency had risen from then on, so in the window after; the other signs were seen then.
                slow = ends_s > after_s if row.series.throttle_sign == "latency" else ends_s >= after_s
                first = int(np.argmax(slow)) if slow.any() else len(ends_s) - 1
                plot.plot(
                    ends_s[first],
                    change[first],
                    "o",
                    markersize=11,
                    markerfacecolor="none",
                    color=LIGHT["warn"],
                )
        if len(rows) > 1:
            legend_above(plot, columns=4)
        plot.set_xlabel("seconds of load")
        plot.set_ylabel("latency change, %")
    return Drawing(figure_of(plot), points)


def _tooltip(row: SustainedRow, index: int) -> Tooltip:
    window = row.series.windows[index]
    rows = [
        ("Latency", milliseconds(window.median_ms)),
        ("Against the first windows", signed_percent(100 * (window.median_ms / row.series.burst_ms - 1))),
        ("After", f"{window.end_s:.0f} s"),
    ]
    if window.temperature_celsius is not None:
        rows.append(("Temperature", f"{window.temperature_celsius:.0f} °C"))
    clock_mhz = window.clock_mhz if window.measured_clock_mhz is None else window.measured_clock_mhz
    if clock_mhz is not None:
        rows.append(("Clock", f"{clock_mhz:.0f} MHz"))
    return Tooltip("Under load", tuple(rows), row.model)
