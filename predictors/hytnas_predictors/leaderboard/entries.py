"""The predictors of a leaderboard: each with its scores, as they are found one after another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from hytnas_predictors import metrics
from hytnas_predictors.intervals import TauBootstrap, percentile_interval
from hytnas_predictors.leaderboard.comparison import Contender, corrected_p_value
from hytnas_predictors.leaderboard.curves import curve_sizes, learning_curve
from hytnas_predictors.leaderboard.edges import edge_rows
from hytnas_predictors.leaderboard.trial import Trial
from hytnas_predictors.leaderboard.validation import CrossValidation
from hytnas_predictors.progress import ProgressFactory
from hytnas_predictors.recipes import Recipe
from hytnas_predictors.result import EdgeScore, LearningCurve, NoiseCeiling, Score

Floats = NDArray[np.float64]
ROUNDING: Final = 1e-9
MIN_NETWORKS_FOR_EDGES: Final = 20


@dataclass
class Entry:
    """A predictor, its out-of-fold predictions, its (b,) taus in the resamples, and its row so far."""

    recipe: Recipe
    result: CrossValidation
    taus: Floats
    score: Score

    @property
    def contender(self) -> Contender:
        """What the verdict compares."""
        return Contender(self.recipe.estimator, self.score.kendall_tau, self.taus)


def enter(
    trial: Trial,
    recipe: Recipe,
    result: CrossValidation,
    bootstrap: TauBootstrap,
    ceiling: NoiseCeiling | None,
) -> Entry:
    """The entry of a predictor that was cross-validated; ``bootstrap`` is that of the trial's labels."""
    taus = bootstrap.taus(result.predicted)
    named = (recipe.estimator, "+".join(recipe.features))
    return Entry(recipe, result, taus, make_score(named, trial.y, result, taus, ceiling))


def make_score(
    named: tuple[str, str],
    y: Floats,
    result: CrossValidation,
    taus: Floats,
    ceiling: NoiseCeiling | None = None,
) -> Score:
    """The row of a predictor, ``named`` by its name and its features; ``taus`` are those of the resamples."""

    def averaged(metric: metrics.Metric) -> float:
        return float(np.mean([metric(y, row) for row in result.predicted]))

    tau = percentile_interval(averaged(metrics.kendall_tau), taus)
    return Score(
        predictor=named[0],
        features=named[1],
        kendall_tau=tau,
        spearman=averaged(metrics.spearman),
        rmse=averaged(metrics.rmse),
        mape=averaged(metrics.mape),
        within_5_percent=averaged(metrics.within_5_percent),
        within_10_percent=averaged(metrics.within_10_percent),
        fit_s=result.fit_s,
        predict_us_per_row=result.predict_us_per_row,
        leak_suspected=ceiling is not None and tau.value > ceiling.label_to_truth.high + ROUNDING,
        better_than_chance=tau.low > 0,
        inside_90_percent=None if result.inside is None else float(result.inside.mean()),
    )


def compare_with_best(trial: Trial, entries: Sequence[Entry]) -> None:
    """Give each predictor but the first, which is the best, its p against that, from taus of single folds.

    Where each network is a fold by itself it has no tau, and nothing is given.
    """
    if len(np.unique(trial.folds[0])) == trial.networks:
        return
    best = _fold_taus(trial, entries[0].result)
    for entry in entries[1:]:
        p = corrected_p_value(best, _fold_taus(trial, entry.result))
        entry.score = replace(entry.score, p_against_best=p)


def _fold_taus(trial: Trial, result: CrossValidation) -> Floats:
    """(r, k) tau on each held-out fold."""
    return np.array(
        [
            [metrics.kendall_tau(trial.y[row == fold], predicted[row == fold]) for fold in np.unique(row)]
            for row, predicted in zip(trial.folds, result.predicted, strict=True)
        ]
    )


def add_edges(trial: Trial, entries: Sequence[Entry]) -> None:
    """Give each predictor its scores on the lowest and the highest tenth of the labels, fitted to the others.

    Of fewer than 20 networks the tenths say nothing, and are left out.
    """
    if trial.networks < MIN_NETWORKS_FOR_EDGES:
        return
    edges = [edge_rows(trial.y, trial.groups, lowest=lowest) for lowest in (True, False)]
    for entry in entries:
        low, high = (
            EdgeScore(*trial.score_others(entry.recipe, ~edge, np.random.default_rng([trial.seed, place])))
            for place, edge in enumerate(edges)
        )
        entry.score = replace(entry.score, lowest=low, highest=high)


def draw_curves(
    trial: Trial, entries: Sequence[Entry], samples: int, bars: ProgressFactory
) -> tuple[LearningCurve, ...]:
    """The curve of each predictor, in their order; none for no samples, and where the labels are few."""
    fits = samples * len(curve_sizes(trial.networks))
    if not fits:
        return ()
    with bars("learning curves", len(entries) * fits) as bar:
        return tuple(learning_curve(trial, entry.recipe, samples=samples, bar=bar) for entry in entries)
