"""A leaderboard on the terminal."""

from rich.markup import escape

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_datasets.targets import get_target
from hytnas_host.cli.console import out, print_table
from hytnas_predictors.leaderboard.comparison import describe_p
from hytnas_predictors.result import Leaderboard, Score

TAU = "Kendall tau [95 %]"
NARROW_WITHOUT = ("features", "±5 %", "±10 %", "in 90 %", "p", "fit s")
WIDE = 132
"""Console columns from which the columns of ``NARROW_WITHOUT`` are shown, too."""


def print_leaderboard(board: Leaderboard) -> None:
    """Print scores, baselines, the noise ceiling and the verdict."""
    wide = out.width >= WIDE
    target = get_target(board.target)
    label = f", {target.words}: {EXECUTION_WORDS[board.context.execution]}" if target.of_device else ""
    print_table(
        f"Leaderboard: {board.target} on {board.space}, {board.labels} labels of {board.networks} "
        f"networks{label}, {board.repeats} x {board.folds}-fold",
        [name for name in _columns(board.unit) if wide or name not in NARROW_WITHOUT],
        [
            [
                cell
                for name, cell in zip(_columns(board.unit), _row(score), strict=True)
                if wide or name not in NARROW_WITHOUT
            ]
            for score in (*board.scores, *board.baselines)
        ],
    )
    if wide:
        out.print(
            "±5 %, ±10 %: labels that the prediction misses by no more; in 90 %: labels inside the nominal "
            "90 % interval; p: of no difference to the best (corrected resampled t-test)",
            highlight=False,
        )
    _print_edges(board)
    _print_curves(board)
    _print_features(board)
    if board.ceiling is None:
        out.print("noise ceiling: unknown, no label was repeated")
    else:
        truth, twin = board.ceiling.label_to_truth, board.ceiling.label_to_label
        out.print(
            f"noise ceiling: tau {truth.value:.3f} [{truth.low:.3f}, {truth.high:.3f}] "
            f"of a label to the truth, "
            f"{twin.value:.3f} [{twin.low:.3f}, {twin.high:.3f}] of two labels "
            f"({board.ceiling.repeated_labels} labels repeated)",
            highlight=False,
        )
    out.print(f"[bold]{escape(board.verdict)}[/]")
    for note in board.notes:
        out.print(f"[dim]{escape(note)}[/]")


def _columns(unit: str) -> tuple[str, ...]:
    shown = "" if unit == "fraction" else f" {unit}"
    return (
        "predictor",
        "features",
        TAU,
        "Spearman",
        f"RMSE{shown}",
        "MAPE",
        "±5 %",
        "±10 %",
        "in 90 %",
        "p",
        "fit s",
        "remark",
    )


def _row(score: Score) -> tuple[str, ...]:
    tau = score.kendall_tau
    remarks = []
    if score.leak_suspected:
        remarks.append("above the ceiling: leak?")
    if not score.better_than_chance:
        remarks.append("not told from chance")
    return (
        score.predictor,
        score.features,
        f"{tau.value:.3f} [{tau.low:.3f}, {tau.high:.3f}]",
        f"{score.spearman:.3f}",
        f"{score.rmse:#.3g}",
        f"{100 * score.mape:.1f} %",
        f"{100 * score.within_5_percent:.0f} %",
        f"{100 * score.within_10_percent:.0f} %",
        "-" if score.inside_90_percent is None else f"{100 * score.inside_90_percent:.0f} %",
        "" if score.p_against_best is None else describe_p(score.p_against_best),
        f"{score.fit_s:.2f}",
        ", ".join(remarks),
    )


def _print_edges(board: Leaderboard) -> None:
    """How each predictor does on the tenth at each edge, fitted to all other labels."""
    scores = [score for score in board.scores if score.lowest and score.highest]
    if not scores:
        return
    words = get_target(board.target).words
    print_table(
        f"At the edges: fitted without the tenth with the lowest, or the highest, {words}, and tested on it",
        ["predictor", "lowest: tau", "MAPE", "highest: tau", "MAPE"],
        [
            (
                score.predictor,
                *(
                    cell
                    for edge in (score.lowest, score.highest)
                    if edge is not None
                    for cell in (f"{edge.kendall_tau:.3f}", f"{100 * edge.mape:.1f} %")
                ),
            )
            for score in scores
        ],
    )


def _print_features(board: Leaderboard) -> None:
    """Tau and mean error of the same predictors on each feature set."""
    if not board.feature_scores:
        return
    predictors = list(dict.fromkeys(score.predictor for score in board.feature_scores))
    rows: dict[str, list[str]] = {}
    for score in board.feature_scores:
        rows.setdefault(score.features, []).append(f"{score.kendall_tau:.3f}, {100 * score.mape:.1f} %")
    print_table(
        "Which features help: tau and MAPE of the same predictor on each set alone",
        ["features", *predictors],
        [(name, *cells) for name, cells in rows.items()],
    )


def _print_curves(board: Leaderboard) -> None:
    """Tau and mean error by the number of labels."""
    if not board.curves:
        return
    sizes = [point.labels for point in board.curves[0].points]
    print_table(
        "Learning curves: tau and MAPE on networks that are left out, by the labels fitted to",
        ["predictor", *(f"{size} labels" for size in sizes)],
        [
            (
                curve.predictor,
                *(f"{point.kendall_tau.value:.3f}, {100 * point.mape.value:.1f} %" for point in curve.points),
            )
            for curve in board.curves
        ],
    )
