"""How far the labels can be trusted: spread inside and between processes, widths of the intervals."""

from typing import Any

import matplotlib as mpl
import numpy as np

from hytnas_host.report.data import ModelSpread, ReportData
from hytnas_host.report.figures.base import (
    Drawing,
    FigureSpec,
    Size,
    Tooltip,
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
from hytnas_host.report.theme import LIGHT, RC
from hytnas_host.report.words import milliseconds, percent


def describe_spread(data: ReportData) -> FigureSpec | None:
    """Relative spread of every model, or ``None`` where no model was repeated."""
    models = [m for m in data.spreads if m.within_percent is not None and m.between_percent is not None]
    if not models:
        return None
    within = float(np.median([m.within_percent for m in models if m.within_percent is not None]))
    between = float(np.median([m.between_percent for m in models if m.between_percent is not None]))
    return FigureSpec(
        key="spread",
        title="Spread of the runs",
        caption=f"One pair of marks a model. Runs inside a process typically scatter by {percent(within)}, "
        f"the medians of fresh processes by {percent(between)}; only fresh processes show the latter."
        + unstable_words([model.unstable for model in models]),
        alt=f"Relative spread within and between processes of {len(models)} models; medians {within:.1f} and "
        f"{between:.1f} percent.",
        sizes=both_widths((480, 360), (330, 320)),
        draw=lambda size: _draw_spread(data, models, size),
    )


def _draw_spread(data: ReportData, models: list[ModelSpread], size: Size) -> Drawing:
    latency = np.array([m.median_ms for m in models])
    floor = 0.01
    within = np.maximum(floor, [m.within_percent or 0.0 for m in models])
    between = np.maximum(floor, [m.between_percent or 0.0 for m in models])
    unstable = [m.unstable for m in models]
    with mpl.rc_context(RC):
        plot = new_axes(size, left=50, top=40)
        log = spans_decade(latency)
        number_axis(plot, "x", log=log)
        number_axis(plot, "y", log=True)
        plot.set_xlim(padded(latency, log=log))
        plot.set_ylim(padded(np.concatenate([within, between]), log=True))
        handles, labels = [], ["inside a process", "between processes"]
        for name, values, marker, colour in (
            ("within", within, "o", LIGHT["blue"]),
            ("between", between, "^", LIGHT["orange"]),
        ):
            handles.append(legend_mark(colour, marker))
            style: dict[str, Any] = {"area": 26, "marker": marker, "alpha": 0.75, "edgecolors": colour}
            series(plot, name, latency, values, **style, **hollow_style(colour, unstable))
            plot.axhline(
                float(np.median(values)), color=colour, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1
            )
        legend_above(plot, columns=2, handles=handles, labels=labels)
        plot.set_xlabel(data.latency_axis)
        plot.set_ylabel("standard deviation, %")
    tooltips = [_tooltip(model) for model in models]
    return Drawing(figure_of(plot), {"within": tooltips, "between": tooltips})


def describe_intervals(data: ReportData) -> FigureSpec | None:
    """Share of the models whose interval is at most so wide, or ``None`` without intervals."""
    models = sorted(
        (m for m in data.spreads if m.half_width_percent is not None),
        key=lambda m: m.half_width_percent or 0.0,
    )
    if not models:
        return None
    reached = sum((m.half_width_percent or 0.0) <= data.width_target_percent for m in models)
    return FigureSpec(
        key="intervals",
        title="Width of the labels' intervals",
        caption=f"Models in the order of their 95 % interval. {reached} of {len(models)} are within the "
        f"target of ±{data.width_target_percent:g} %." + unstable_words([model.unstable for model in models]),
        alt=f"Cumulative share of models by half-width of the 95 percent interval; {reached} of "
        f"{len(models)} reach {data.width_target_percent:g} percent.",
        sizes=both_widths((480, 360), (330, 320)),
        draw=lambda size: _draw_intervals(data, models, size),
    )


def _draw_intervals(data: ReportData, models: list[ModelSpread], size: Size) -> Drawing:
    widths = np.maximum(0.01, [m.half_width_percent or 0.0 for m in models])
    share = 100 * (np.arange(len(models)) + 1) / len(models)
    target = data.width_target_percent
    with mpl.rc_context(RC):
        plot = new_axes(size, left=50, top=40)
        log = spans_decade(widths)
        number_axis(plot, "x", log=log)
        plot.set_xlim(padded(np.append(widths, target), log=log))
        plot.set_ylim(0, 102)
        plot.axvline(target, color=LIGHT["orange"], linewidth=1.4, linestyle=(0, (4, 3)), zorder=1)
        plot.annotate(
            f"target ±{target:g} %",
            (target, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=LIGHT["orange"],
            annotation_clip=False,
        )
        plot.plot(widths, share, color=LIGHT["blue"], drawstyle="steps-post", linewidth=1.4)
        colour = LIGHT["blue"]
        style = hollow_style(colour, [model.unstable for model in models])
        series(plot, "models", widths, share, area=18, edgecolors=colour, zorder=3, **style)
        plot.set_xlabel("half-width of the 95 % interval, ±%")
        plot.set_ylabel("share of the models, %")
    return Drawing(figure_of(plot), {"models": [_tooltip(model) for model in models]})


def _tooltip(model: ModelSpread) -> Tooltip:
    rows = (
        ("Latency", milliseconds(model.median_ms)),
        ("Inside a process", percent(model.within_percent, 2)),
        ("Between processes", percent(model.between_percent, 2)),
        (
            "95 % interval",
            "\u2013" if model.half_width_percent is None else f"±{model.half_width_percent:.2f} %",
        ),
    )
    return Tooltip(model.title, rows, model.model)
