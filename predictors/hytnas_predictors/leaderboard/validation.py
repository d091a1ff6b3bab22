"""Repeated, grouped K-fold cross-validation; whatever is fitted is fitted inside a fold.

Predictions of one repeat are pooled, so that each repeat gives one prediction a label. The pooling gives an
estimator that knows nothing a slightly negative tau (the mean of the other folds is low where a fold is
high), so it errs on the safe side.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from hytnas_datasets.errors import NotEnoughDataError
from hytnas_datasets.targets import Scale
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import Estimator
from hytnas_predictors.recipes import from_scale, to_scale

Floats = NDArray[np.float64]
Folds = NDArray[np.int64]
MIN_SCORED: Final = 8
"""On fewer networks scores say too little: even the interval of a perfect order is wide."""
HALF_WIDTH: Final = float(norm.ppf(0.95))
"""Standard deviations from the mean to the ends of a nominal 90 % interval."""


@dataclass(frozen=True)
class CrossValidation:
    """Out-of-fold predictions of one estimator.

    Attributes
    ----------
    predicted : (r, n) float64
        One prediction for each label in each repeat, in the unit of the label.
    inside : (r, n) bool, optional
        Whether each label lies inside the nominal 90 % interval of its prediction, on the fitted scale;
        ``None`` where the estimator gives no standard deviation.
    fit_s : float
        Mean seconds to fit one fold.
    predict_us_per_row : float
        Mean microseconds to predict a row, features apart.
    """

    predicted: Floats
    fit_s: float
    predict_us_per_row: float
    inside: NDArray[np.bool_] | None = None


def grouped_folds(groups: NDArray[np.int64], folds: int, repeats: int, seed: int) -> Folds:
    """(repeats, n) the fold that each row is held out in; rows of one group are held out together.

    Parameters
    ----------
    groups : (n,) int
        Group of each row, numbered from 0.

    Raises
    ------
    NotEnoughDataError
        If there are fewer groups than folds, or fewer than 2 folds.
    """
    count = int(groups.max()) + 1 if len(groups) else 0
    if folds < 2 or count < folds:
        raise NotEnoughDataError(
            f"{count} different networks cannot be split into {folds} folds",
            "Choose from 2 folds up to as many as there are networks.",
        )
    # scikit-learn's GroupKFold, shuffled, makes folds of as equal numbers of groups, and other ones: it takes
    # 32-bit seeds alone. Seeds of (seed, repeat) are apart for any two repeats, and published figures hold.
    assigned = np.empty((repeats, len(groups)), dtype=np.int64)
    for repeat in range(repeats):
        order = np.random.default_rng([seed, repeat]).permutation(count)
        fold_of_group = np.empty(count, dtype=np.int64)
        fold_of_group[order] = np.arange(count) % folds
        assigned[repeat] = fold_of_group[groups]
    return assigned


def cross_validate(
    make: Callable[[], Estimator],
    x: Floats,
    y: Floats,
    folds: Folds,
    *,
    scale: Scale = "identity",
    seed: int = 0,
    on_fit: Callable[[], None] = lambda: None,
) -> CrossValidation:
    """Fit to all folds but one and predict that one, for each fold and repeat.

    Parameters
    ----------
    make : callable
        Gives an unfitted estimator.
    x : (n, d) features that depend on their own row alone
    y : (n,) labels
    folds : (r, n) int, from `grouped_folds`
    scale : scale on which the estimator is fitted
    seed : int
        The fit of fold k in repeat r draws from the generator of ``[seed, r, k]``.
    on_fit : callable
        Called after each fit.

    Raises
    ------
    PredictorError
        For predictions that are no numbers.
    """
    predicted, inside = np.empty(folds.shape), np.zeros(folds.shape, dtype=np.bool_)
    any_spread = False
    fit_s = predict_s = 0.0
    fits = 0
    for repeat, fold, held_out in _splits(folds):
        rng = np.random.default_rng([seed, repeat, fold])
        started = time.perf_counter()
        estimator = make().fit(x[~held_out], to_scale(y[~held_out], scale), rng=rng)
        fitted = time.perf_counter()
        mean, std = estimator.predict_with_std(x[held_out])
        predict_s += time.perf_counter() - fitted
        fit_s += fitted - started
        fits += 1
        predicted[repeat, held_out] = from_scale(mean, std, scale)[0]
        inside[repeat, held_out] = np.abs(to_scale(y[held_out], scale) - mean) <= HALF_WIDTH * std
        any_spread |= bool((std > 0).any())
        on_fit()
    if np.isnan(predicted).any():
        raise PredictorError("it predicts values that are no numbers", "Leave this estimator out")
    return CrossValidation(
        predicted, fit_s / fits, 1e6 * predict_s / folds.size, inside if any_spread else None
    )


def _splits(folds: Folds) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    for repeat, assigned in enumerate(folds):
        for fold in np.unique(assigned).tolist():
            yield repeat, fold, assigned == fold
