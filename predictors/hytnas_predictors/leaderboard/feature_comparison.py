"""Which features help: a straight line and boosted trees on each feature set, all else equal."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.labelled import LabelledSet
from hytnas_predictors.features import FEATURE_SETS, make_features, usable_sets
from hytnas_predictors.leaderboard.validation import cross_validate
from hytnas_predictors.metrics import kendall_tau, mape
from hytnas_predictors.progress import ProgressFactory
from hytnas_predictors.recipes import Recipe
from hytnas_predictors.result import FeatureScore

PROBES: Final = {"ridge": {}, "lightgbm": {"members": 1}}
"""Estimators that any features suit, and that are fitted in an instant."""


def compare_features(
    labelled: LabelledSet, folds: NDArray[np.int64], *, seed: int, bars: ProgressFactory
) -> tuple[FeatureScore, ...]:
    """Out-of-fold scores of the probes on each feature set that the space has.

    Parameters
    ----------
    labelled : LabelledSet of n labels
    folds : (r, n) int
        As of the predictors; the first repeat is used.
    seed : int
    bars : ProgressFactory
    """
    sets = usable_sets(labelled.space, FEATURE_SETS)
    y, found = labelled.y, []
    with bars("comparing features", len(sets) * len(PROBES)) as bar:
        for name in sets:
            x = make_features(labelled.space, labelled.architectures, labelled.context.task, [name]).x
            for estimator, params in PROBES.items():
                recipe = Recipe(estimator, (name,), labelled.target.scale, params)
                result = cross_validate(recipe.make, x, y, folds[:1], scale=recipe.scale, seed=seed)
                predicted = result.predicted[0]
                found.append(FeatureScore(name, estimator, kendall_tau(y, predicted), mape(y, predicted)))
                bar.advance()
    return tuple(found)
