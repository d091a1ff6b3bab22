"""Predictors compared: Kendall tau with its interval as a forest plot, and the noise ceiling as a band."""

from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes

from hytnas_datasets.targets import Target, get_target
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
from hytnas_host.report.words import difference, percent
from hytnas_predictors.result import Leaderboard, Score

NAMES_PX: Final = 92


def describe(data: ReportData, target: Target) -> FigureSpec | None:
    """The figure of one target, or ``None`` without a leaderboard for it."""
    board = data.leaderboard(target)
    if board is None or not board.scores:
        return None
    rows = len(board.scores) + len(board.baselines)
    best = board.scores[0]
    return FigureSpec(
        key=f"leaderboard-{target.slug}",
        title=f"Leaderboard, {target.words}",
        caption="Kendall's τ between prediction and label, out of fold: 1 is a perfect ranking, 0 is chance. "
        "Bars are 95 % intervals"
        + (
            "; the shaded band is the noise ceiling, the best τ that labels this noisy allow."
            if board.ceiling is not None
            else "; no labels were repeated, so there is no noise ceiling."
        ),
        alt=f"Kendall tau of {rows} predictors of {target.words}; the best is {best.predictor} with "
        f"{best.kendall_tau.value:.3f} ({best.kendall_tau.low:.3f} to {best.kendall_tau.high:.3f}).",
        sizes=both_widths((480, 96 + 32 * rows), (330, 96 + 32 * rows)),
        draw=lambda size: _draw(board, size),
        focusable=frozenset({"scores"}),
    )


def _draw(board: Leaderboard, size: Size) -> Drawing:
    with mpl.rc_context(RC):
        plot = new_axes(size, left=NAMES_PX, top=34, right=54, bottom=46)
        forest_on(plot, board)
        tooltips = [
            Tooltip(
                score.predictor,
                (
                    ("Kendall τ", interval_words(score)),
                    ("Spearman \u03c1", f"{score.spearman:.3f}"),
                    ("RMSE", difference(score.rmse, get_target(board.target))),
                    ("Within ±10 %", percent(100 * score.within_10_percent, 0)),
                ),
            )
            for score in (*board.scores, *board.baselines)
        ]
        return Drawing(figure_of(plot), {"scores": tooltips})


def forest_on(plot: Axes, board: Leaderboard) -> None:
    """Draw the forest plot into ``plot``; the axis reaches from chance, or below, to a perfect ranking."""
    scores = (*board.scores, *board.baselines)
    heights = [-float(position) for position in range(len(scores))]
    lowest = min(0.0, *(score.kendall_tau.low for score in scores))
    start = lowest - 0.04 if lowest < 0 else (0.5 if min(s.kendall_tau.low for s in scores) > 0.55 else 0.0)
    plot.set_xlim(start, 1.0)
    plot.set_ylim(heights[-1] - 0.6, 0.6)
    plot.grid(visible=False, axis="y")
    if board.ceiling is not None:
        _ceiling(plot, board)
    if lowest < 0:
        plot.axvline(0, color=LIGHT["muted"], linewidth=1)
    for score, height in zip(scores, heights, strict=True):
        colour = _colour(board, score)
        tau = score.kendall_tau
        plot.plot(
            [tau.low, tau.high], [height] * 2, color=colour, linewidth=3, solid_capstyle="round", alpha=0.55
        )
        plot.annotate(
            f"{tau.value:.3f}",
            (1.0, height),
            xycoords=("axes fraction", "data"),
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
            color=LIGHT["ink"],
            fontweight="bold" if score is scores[0] else "normal",
            annotation_clip=False,
        )
    series(
        plot,
        "scores",
        [score.kendall_tau.value for score in scores],
        heights,
        area=64,
        c=[_colour(board, score) for score in scores],
        linewidths=1.2,
        edgecolors=LIGHT["surface"],
        zorder=4,
    )
    plot.set_yticks(heights, [score.predictor for score in scores])
    plot.tick_params(axis="y", length=0, labelcolor=LIGHT["ink"], pad=NAMES_PX - 4)
    for name in plot.get_yticklabels():
        name.set_horizontalalignment("left")
    plot.spines["left"].set_visible(False)
    plot.set_xlabel("Kendall τ (out of fold)")


def _ceiling(plot: Axes, board: Leaderboard) -> None:
    assert board.ceiling is not None
    ceiling = board.ceiling.label_to_truth
    plot.axvspan(ceiling.low, min(ceiling.high, 1.0), color=LIGHT["band"], linewidth=0, zorder=0)
    plot.axvline(ceiling.value, color=LIGHT["blue"], linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    plot.annotate(
        f"noise ceiling {ceiling.value:.3f}",
        (ceiling.value, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 6),
        textcoords="offset points",
        ha="right" if ceiling.value > 0.6 else "center",
        va="bottom",
        color=LIGHT["blue"],
        annotation_clip=False,
    )


def _colour(board: Leaderboard, score: Score) -> str:
    if score.leak_suspected:
        return LIGHT["warn"]
    return LIGHT["muted"] if score in board.baselines or not score.better_than_chance else LIGHT["blue"]


def interval_words(score: Score) -> str:
    """Kendall tau with its interval, three decimals."""
    tau = score.kendall_tau
    return f"{tau.value:.3f} [{tau.low:.3f}, {tau.high:.3f}]"
