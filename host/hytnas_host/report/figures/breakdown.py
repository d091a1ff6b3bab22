"""Where an inference spends its time: stages of each model, and operators in each stage."""

from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import Patch

from hytnas_datasets.plan.profile import GROUPS
from hytnas_host.report.data import ReportData
from hytnas_host.report.figures.base import (
    Drawing,
    FigureSpec,
    Size,
    Tooltip,
    both_widths,
    figure_of,
    new_axes,
)
from hytnas_host.report.passes import Profiled, count_models, mean_breakdown
from hytnas_host.report.svg import SERIES_PREFIX
from hytnas_host.report.theme import LIGHT, RC
from hytnas_host.report.words import milliseconds, percent

MAX_MODELS: Final = 8
STAGE_COLOURS: Final = ("muted", "ramp0", "ramp1", "ramp2", "ramp3", "accuracy", "faint")
GROUP_COLOURS: Final = dict(
    zip(
        GROUPS,
        ("ramp0", "ramp2", "orange", "tradeoff", "latency", "accuracy", "faint", "warn", "muted"),
        strict=True,
    )
)
_BAR = 0.72
_LABELLED_SHARE = 0.07
"""Of the axis: a narrower segment has no room for its name."""
_DARK = frozenset({"ramp2", "ramp3", "orange", "tradeoff", "latency", "accuracy", "warn", "muted"})

Segments = list[tuple[str, str, float]]
"""Name, colour and milliseconds of the parts of a bar."""


def describe_stages(data: ReportData) -> FigureSpec | None:
    """A bar of stages for each profiled model, or ``None`` where none with a layer plan was profiled."""
    models = [profiled for profiled in data.passes.profiles if profiled.staged][:MAX_MODELS]
    if not models:
        return None
    largest = [_largest(profiled) for profiled in models]
    common = max(set(largest), key=largest.count)
    shown = f"the first {MAX_MODELS}" if len(models) < len(data.passes.profiles) else "all"
    return FigureSpec(
        key="profile-stages",
        title="Where the time goes: stages",
        caption=f"Time of the operators of one inference, stage by stage, {data.passes.profile_words}; "
        f"{shown} that were profiled. The longest stage is {common} in {largest.count(common)} of "
        f"{count_models(models)}.",
        alt=f"Stacked bars of operator time by stage for {count_models(models)}; {common} is the longest "
        f"in {largest.count(common)}.",
        sizes=both_widths((480, 360), (330, 340)),
        draw=lambda size: _draw_stages(data, models, size),
    )


def describe_operators(data: ReportData) -> FigureSpec | None:
    """A bar of operators for each stage, or ``None`` as above."""
    models = [profiled for profiled in data.passes.profiles if profiled.staged]
    if not models:
        return None
    mean = mean_breakdown(models)
    totals = {group: sum(stage.get(group, 0.0) for stage in mean.values()) for group in GROUPS}
    first = max(totals, key=lambda group: totals[group])
    share = percent(100 * totals[first] / sum(totals.values()), 0)
    return FigureSpec(
        key="profile-operators",
        title="Where the time goes: operators",
        caption=f"Operators of each stage, mean over {count_models(models)}, {data.passes.profile_words}. "
        f"Most of all takes: {first} ({share}).",
        alt=f"Stacked bars of operator time by kind for each stage, mean over {count_models(models)}; "
        f"{first} takes {share}.",
        sizes=both_widths((480, 360), (330, 340)),
        draw=lambda size: _draw_operators(data, mean, size),
    )


def _largest(profiled: Profiled) -> str:
    times = profiled.breakdown.stage_ms
    return max(times, key=lambda stage: times[stage])


def _draw_stages(data: ReportData, models: Sequence[Profiled], size: Size) -> Drawing:
    bars = [
        [
            (stage, colour, time_ms)
            for colour, (stage, time_ms) in zip(
                STAGE_COLOURS, profiled.breakdown.stage_ms.items(), strict=False
            )
        ]
        for profiled in models
    ]
    tooltips = [
        Tooltip(
            stage,
            (
                ("Operators", milliseconds(time_ms)),
                ("Share", percent(100 * time_ms / profiled.breakdown.kernel_ms)),
                ("All stages", milliseconds(profiled.breakdown.kernel_ms)),
            ),
            profiled.model,
        )
        for profiled, bar in zip(models, bars, strict=True)
        for stage, _, time_ms in bar
        if time_ms > 0
    ]
    names = [f"model {number}" if len(models) > 1 else "model" for number in range(1, len(models) + 1)]
    return _draw(size, names, bars, tooltips, legend=0, axis=f"operators, ms ({data.passes.profile_words})")


def _draw_operators(data: ReportData, mean: Mapping[str, Mapping[str, float]], size: Size) -> Drawing:
    bars = [
        [(group, GROUP_COLOURS[group], groups[group]) for group in GROUPS if groups.get(group)]
        for groups in mean.values()
    ]
    total = sum(time_ms for bar in bars for _, _, time_ms in bar)
    tooltips = [
        Tooltip(
            f"{group} in {stage}",
            (("Time", milliseconds(time_ms)), ("Share of the network", percent(100 * time_ms / total))),
        )
        for stage, bar in zip(mean, bars, strict=True)
        for group, _, time_ms in bar
    ]
    axis = f"operators, ms ({data.passes.profile_words})"
    return _draw(size, list(mean), bars, tooltips, legend=2 if size.narrow else 3, axis=axis)


def _draw(
    size: Size,
    names: Sequence[str],
    bars: Sequence[Segments],
    tooltips: list[Tooltip],
    *,
    legend: int,
    axis: str,
) -> Drawing:
    """Horizontal stacked bars, the first on top, with a legend of so many columns or names in the bars."""
    kinds = dict.fromkeys((name, colour) for bar in bars for name, colour, _ in bar)
    rows = -(-len(kinds) // legend) if legend else 0
    with mpl.rc_context(RC):
        plot = new_axes(size, left=62, top=14 + 19 * rows, right=18)
        longest = max(sum(time_ms for _, _, time_ms in bar) for bar in bars)
        plot.set_xlim(0, 1.03 * longest)
        plot.set_ylim(len(bars) - 0.4, -0.6)
        plot.set_yticks(range(len(names)), names)
        plot.grid(visible=False, axis="y")
        plot.tick_params(axis="y", length=0)
        _stack(plot, bars, write_names=not legend, longest=longest)
        if legend:
            plot.legend(
                handles=[Patch(color=LIGHT[colour], linewidth=0, label=name) for name, colour in kinds],
                loc="lower left",
                bbox_to_anchor=(-62 / (size.width - 80), 1.0),
                ncols=legend,
                borderaxespad=0.2,
                borderpad=0.2,
                handlelength=0.9,
                handletextpad=0.4,
                columnspacing=1.0,
                labelcolor=LIGHT["muted"],
            )
        plot.set_xlabel(axis)
    return Drawing(figure_of(plot), {"parts": tooltips})


def _stack(plot: Axes, bars: Sequence[Segments], *, write_names: bool, longest: float) -> None:
    corners, colours = [], []
    for row, bar in enumerate(bars):
        left = 0.0
        for name, colour, time_ms in bar:
            if time_ms <= 0:
                continue
            low, high = row - _BAR / 2, row + _BAR / 2
            corners.append(
                np.array([(left, low), (left + time_ms, low), (left + time_ms, high), (left, high)])
            )
            colours.append(LIGHT[colour])
            if write_names and time_ms > _LABELLED_SHARE * longest:
                plot.text(
                    left + time_ms / 2,
                    row,
                    name.removeprefix("stage"),
                    ha="center",
                    va="center",
                    color=LIGHT["surface" if colour in _DARK else "ink"],
                )
            left += time_ms
    plot.add_collection(
        PolyCollection(
            corners,
            facecolors=colours,
            edgecolors=LIGHT["surface"],
            linewidths=1.0,
            gid=f"{SERIES_PREFIX}parts",
        )
    )
