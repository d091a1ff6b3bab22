"""How the search got on: hypervolume against evaluations."""

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
    new_axes,
    series,
)
from hytnas_host.report.theme import LIGHT, RC
from hytnas_host.report.words import plural, significant
from hytnas_host.search.result import SearchResult


def describe(data: ReportData) -> FigureSpec | None:
    """The figure, or ``None`` without a history."""
    search = data.search
    if search is None or len(search.hypervolume) < 2:
        return None
    last = search.hypervolume[-1]
    return FigureSpec(
        key="hypervolume",
        title="Hypervolume against evaluations",
        caption="The volume that the front dominates, as a share of its final value. Flat at the end: more "
        "evaluations would find little more; still rising: give the search more.",
        alt=f"Hypervolume over {plural(last[0], 'evaluation')}, ending at {significant(last[1])}.",
        sizes=both_widths((480, 330), (330, 260)),
        draw=lambda size: _draw(search, size),
    )


def _draw(search: SearchResult, size: Size) -> Drawing:
    evaluations = np.array([point[0] for point in search.hypervolume], dtype=float)
    volume = np.array([point[1] for point in search.hypervolume])
    final = volume[-1] if volume[-1] > 0 else 1.0
    share = 100 * volume / final
    with mpl.rc_context(RC):
        plot = new_axes(size, left=50)
        plot.plot(evaluations, share, color=LIGHT["blue"], linewidth=2, drawstyle="steps-post")
        plot.fill_between(evaluations, share, step="post", color=LIGHT["band"], linewidth=0)
        series(plot, "history", evaluations, share, area=26, color=LIGHT["blue"], linewidths=0)
        plot.set_xlabel("evaluations")
        plot.set_ylabel("share of the final, %")
        plot.set_xlim(left=0)
        low = min(share.min(), 99.0)
        plot.set_ylim(max(0.0, low - 0.12 * (100 - low)), 100 + 0.06 * (100 - low))
    tooltips = [
        Tooltip(
            plural(int(n), "evaluation"), (("Hypervolume", significant(v)), ("Of the final", f"{s:.1f} %"))
        )
        for n, v, s in zip(evaluations, volume, share, strict=True)
    ]
    return Drawing(figure_of(plot), {"history": tooltips})
