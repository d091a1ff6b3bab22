"""Drift of the device: the canary model, measured again and again between the others."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, pairwise

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import NDArray

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_host.report.data import CanaryPoint, CanaryState, DrawnCanary, ReportData
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
    series,
)
from hytnas_host.report.theme import LIGHT, RC
from hytnas_host.report.words import milliseconds, plural, signed_percent

DRIFT_LIMIT_PERCENT = 3.0
LINE_PX = 22
"""Height of a line of the legend."""

# Devices are told apart by the form of their marks as well as by their colours.
_STYLES = (("blue", "o"), ("orange", "s"), ("latency", "^"), ("accuracy", "D"), ("muted", "v"))
_STATES: dict[CanaryState, tuple[str, str]] = {
    "kept": ("canary", "counts"),
    "former": ("canary at a former speed", "of a former speed, set aside once the new one had lasted"),
    "drifted": ("canary during a drift", "during a drift, discarded"),
}
"""Of a canary: what the legend calls it, and what its tooltip says of it."""

_SPELL = "timed then: discarded, measured again"


def describe(data: ReportData) -> FigureSpec | None:
    """The figure, or ``None`` where no canary was measured more than once on a device."""
    shown = _shown(data)
    if not shown:
        return None
    drift = np.concatenate([_drift_percent(one) for one in shown])
    devices, each = (f" on {len(shown)} devices", " on each device") if len(shown) > 1 else ("", "")
    told = _told(shown)
    return FigureSpec(
        key="canary",
        title="Canary: drift of the device" + ("s" if len(shown) > 1 else ""),
        caption=f"One model measured between the others, against its first time{each}. "
        f"Outside the band of ±{DRIFT_LIMIT_PERCENT:g} % the device itself had changed." + told,
        alt=f"Canary latency over {drift.size} measurements{devices}, between {drift.min():+.1f} and "
        f"{drift.max():+.1f} percent of the first." + told,
        sizes=tuple(
            replace(size, height=size.height + LINE_PX * max(_legend_lines(shown, size) - 1, 0))
            for size in both_widths((1000, 250), (380, 260))
        ),
        draw=lambda size: _draw(data, size),
    )


def _legend(shown: Sequence[DrawnCanary]) -> tuple[list[Artist], list[str]]:
    """Devices where there are several, and states and spells where something was discarded."""
    several = len(shown) > 1
    handles: list[Artist] = []
    labels = []
    if several:
        handles += [_mark(*look, "kept") for _, look in zip(shown, cycle(_STYLES), strict=False)]
        labels += [one.device for one in shown]
    states = [state for state in _STATES if any(p.state == state for one in shown for p in one.points)]
    spelled = any(one.spells for one in shown)
    if states != ["kept"] or spelled:
        look = ("muted", "o") if several else _STYLES[0]
        told = [state for state in states if not (several and state == "kept")]
        handles += [_mark(*look, state) for state in told]
        labels += [_STATES[state][0] for state in told]
    if spelled:
        handles.append(Patch(color=LIGHT["warnband"]))
        labels.append(_SPELL)
    return handles, labels


def _columns(shown: Sequence[DrawnCanary], size: Size) -> int:
    """Of the legend; names of devices may be long."""
    return 1 if size.narrow else 2 if len(shown) > 1 else len(_STATES) + 1


def _legend_lines(shown: Sequence[DrawnCanary], size: Size) -> int:
    return -(-len(_legend(shown)[1]) // _columns(shown, size))


def _told(shown: Sequence[DrawnCanary]) -> str:
    """What happened, in words; empty where nothing did."""
    spells = [spell for one in shown for spell in one.spells]
    changes = sum(max((point.level for point in one.points), default=0) for one in shown)
    words = ""
    if spells:
        again = plural(sum(spell.processes for spell in spells), "process", "processes")
        words += (
            f" Red: {plural(len(spells), 'spell')} of drift; what was measured then ({again} beside the "
            "canary's) stands in no label and was measured again."
        )
    if changes:
        words += (
            f" Dotted lines: {plural(changes, 'change')} of speed that lasted; measuring went on at the new "
            "speed, which the band follows, so that labels from before and after are not alike."
        )
    return words


def _shown(data: ReportData) -> list[DrawnCanary]:
    return [one for one in data.canary if len(one.points) > 1]


def _reference_ms(one: DrawnCanary, level: int = 0) -> float:
    """The first canary of a level that had not drifted; the very first where there is none."""
    well = (point for point in one.points if point.state != "drifted" and point.level == level)
    return next(well, one.points[0]).median_ms


def _drift_percent(one: DrawnCanary) -> NDArray[np.float64]:
    medians = np.array([point.median_ms for point in one.points])
    return np.asarray(100 * (medians / _reference_ms(one) - 1), dtype=np.float64)


def _draw(data: ReportData, size: Size) -> Drawing:
    shown = _shown(data)
    handles, labels = _legend(shown)
    words = EXECUTION_WORDS[data.execution]
    tooltips: dict[str, list[Tooltip]] = {}
    with mpl.rc_context(RC):
        plot = new_axes(size, left=50, top=16 + LINE_PX * _legend_lines(shown, size))
        plot.axhline(0, color=LIGHT["muted"], linewidth=1, linestyle=(0, (4, 3)))
        for number, (one, look) in enumerate(zip(shown, cycle(_STYLES), strict=False)):
            tooltips |= _series(plot, one, f"canary{number}" if number else "canary", look, words)
        _set_limits(plot, shown)
        for number, one in enumerate(shown):
            _spells(plot, one, number if len(shown) > 1 else None)
        _bands(plot, shown)
        if labels:
            legend_above(plot, columns=_columns(shown, size), handles=handles, labels=labels)
        plot.set_xlabel(f"minutes; latencies: {words}")
        plot.set_ylabel("latency change, %")
    return Drawing(figure_of(plot), tooltips)


def _series(
    plot: Axes, one: DrawnCanary, name: str, look: tuple[str, str], words: str
) -> dict[str, list[Tooltip]]:
    """The marks of one device, those of each state as a series of their own, and the tooltips."""
    colour, mark = look
    drift = _drift_percent(one)
    plot.plot([point.minutes for point in one.points], drift, color=LIGHT[colour], linewidth=1.2)
    tooltips = {}
    for state in _STATES:
        chosen = [(p, float(change)) for p, change in zip(one.points, drift, strict=True) if p.state == state]
        if not chosen:
            continue
        key = name if state == "kept" else f"{name}-{state}"
        x, y = [point.minutes for point, _ in chosen], [change for _, change in chosen]
        style = {"kept": {}, "former": {"facecolors": LIGHT["surface"]}, "drifted": {"marker": "X"}}[state]
        edge = LIGHT["warn"] if state == "drifted" else LIGHT[colour]
        face = {"facecolors": edge, "edgecolors": edge, "marker": mark}
        width = 1.4 if state == "former" else 0
        series(plot, key, x, y, area=40 if state == "drifted" else 30, linewidths=width, **(face | style))
        tooltips[key] = [_tooltip(one, point, change, words) for point, change in chosen]
    return tooltips


def _mark(colour: str, mark: str, state: CanaryState) -> Artist:
    """A mark for the legend, as ``_series`` draws it."""
    shape, edge = ("X", LIGHT["warn"]) if state == "drifted" else (mark, LIGHT[colour])
    return legend_mark(edge, shape, hollow=state == "former")


def _set_limits(plot: Axes, shown: Sequence[DrawnCanary]) -> None:
    drift = np.concatenate([_drift_percent(one) for one in shown])
    least = DRIFT_LIMIT_PERCENT * 1.4
    reach = max(least, float(np.abs(drift).max()) * 1.15)
    plot.set_ylim(-reach, reach)
    plot.set_xlim(plot.get_xlim())


def _spells(plot: Axes, one: DrawnCanary, lane: int | None) -> None:
    """Red stretches; of several devices each has a bar of its colour on a ``lane`` at the bottom."""
    for spell in one.spells:
        plot.axvspan(spell.start_minutes, spell.end_minutes, color=LIGHT["warnband"], linewidth=0, zorder=-1)
        if lane is not None:
            height = 0.03 + 0.045 * lane
            plot.plot(
                [spell.start_minutes, spell.end_minutes],
                [height, height],
                color=LIGHT[_STYLES[lane % len(_STYLES)][0]],
                linewidth=4,
                transform=plot.get_xaxis_transform(),
            )


def _bands(plot: Axes, shown: Sequence[DrawnCanary]) -> None:
    """The allowed change: around the first canary, or around each level of a device whose speed changed."""
    start, end = plot.get_xlim()
    for one in shown:
        changes = _changes(one)
        for x in changes:
            plot.axvline(x, color=LIGHT["warn"], linewidth=1.2, linestyle=(0, (1, 2)), zorder=1)
        edges = [start, *changes, end]
        for level, (low, high) in enumerate(pairwise(edges)):
            ratio = _reference_ms(one, level) / _reference_ms(one)
            centre, half = 100 * (ratio - 1), DRIFT_LIMIT_PERCENT * ratio
            plot.fill_between(
                [low, high], centre - half, centre + half, color=LIGHT["band"], linewidth=0, zorder=0
            )


def _changes(one: DrawnCanary) -> list[float]:
    """The minute from which on each new speed was accepted: that of its first canary."""
    first: dict[int, float] = {}
    for point in one.points:
        if point.state != "drifted":
            first.setdefault(point.level, point.minutes)
    return [minutes for level, minutes in sorted(first.items()) if level]


def _tooltip(one: DrawnCanary, point: CanaryPoint, change: float, words: str) -> Tooltip:
    state = () if point.state == "kept" else (("State", _STATES[point.state][1]),)
    return Tooltip(
        f"Canary on {one.device}",
        (
            (f"Latency ({words})", milliseconds(point.median_ms)),
            ("Against the first", signed_percent(change)),
            ("After", f"{point.minutes:.1f} min"),
            *state,
        ),
    )
