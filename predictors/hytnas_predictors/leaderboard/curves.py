"""Learning curves: how well a predictor fitted to fewer labels does on networks that are left out."""

from typing import Final

import numpy as np

from hytnas_predictors.leaderboard.trial import Trial
from hytnas_predictors.progress import Progress
from hytnas_predictors.recipes import Recipe
from hytnas_predictors.result import CurvePoint, Interval, LearningCurve

SMALLEST: Final = 10
MIN_LEFT_OUT: Final = 10
BAND: Final = (0.1, 0.9)


def curve_sizes(networks: int) -> tuple[int, ...]:
    """10, 20, 40, ... networks to fit to, as long as at least a fifth, and 10, are left out.

    Examples
    --------
    >>> curve_sizes(100)
    (10, 20, 40, 80)
    >>> curve_sizes(15)
    ()
    """
    sizes = []
    size = SMALLEST
    while networks - size >= max(MIN_LEFT_OUT, 0.2 * networks):
        sizes.append(size)
        size *= 2
    return tuple(sizes)


def learning_curve(trial: Trial, recipe: Recipe, *, samples: int, bar: Progress) -> LearningCurve:
    """Mean scores by the number of networks fitted to, with the band of their random samples.

    All recipes are fitted to the same samples, and each is tested on all networks outside its sample. Sample
    s of size n is drawn with the generator of ``[seed, n, s]``, which the fit goes on with.

    Parameters
    ----------
    trial : Trial
    recipe : Recipe
    samples : int
        Random samples of each size.
    bar : Progress
        Advanced by each fit.
    """
    points = []
    for size in curve_sizes(trial.networks):
        found = np.empty((samples, 2))
        for sample in range(samples):
            rng = np.random.default_rng([trial.seed, size, sample])
            fitted = np.isin(trial.groups, rng.permutation(trial.networks)[:size])
            found[sample] = trial.score_others(recipe, fitted, rng)
            bar.advance()
        low, high = np.quantile(found, BAND, axis=0)
        tau, error = (
            Interval(float(value), float(least), float(most))
            for value, least, most in zip(found.mean(axis=0), low, high, strict=True)
        )
        points.append(CurvePoint(size, tau, error))
    return LearningCurve(recipe.estimator, tuple(points))
