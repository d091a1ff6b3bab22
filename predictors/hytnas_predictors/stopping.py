"""When labels are enough: looks at the scores after ever more labels, and what may be concluded at each.

Who looks again and again and stops at the first good score is misled by luck. So look k is taken with
confidence ``1 - 0.05 / (k (k + 1))``: these risks add up to 5 % over any number of looks, and a promise made
at whatever look holds with 95 %. Scores are out of fold, with folds over all labels, and taken on networks
that were drawn at random alone: those that were chosen because they tell much are no fair sample.

References
----------
.. [JT99] Jennison and Turnbull, Group sequential methods with applications to clinical trials, 1999.
"""

import math
from collections.abc import Sequence
from itertools import count, takewhile
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hytnas_datasets.errors import NotEnoughDataError
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.spaces import Architecture
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.features import make_features
from hytnas_predictors.intervals import group_codes
from hytnas_predictors.leaderboard.validation import MIN_SCORED, cross_validate, grouped_folds
from hytnas_predictors.metrics import mape
from hytnas_predictors.predictor import Predictor, fit_predictor
from hytnas_predictors.recipes import default_estimator, default_recipe

Floats = NDArray[np.float64]

FIRST_LOOK: Final = 20
GROWTH: Final = 2.0**0.5
RISK: Final = 0.05
RANDOM_SHARE: Final = 0.5
FOLDS: Final = 5
PLACES: Final = 500
"""Random networks whose predictions stand for those of the space."""
CANDIDATES: Final = 200
"""Random networks among which each uncertain one is chosen."""


class Goal(msgspec.Struct, frozen=True):
    """What the scores are to reach: Kendall's tau at least, mean absolute percentage error at most.

    Raises
    ------
    PredictorError
        For neither, and for numbers that no score can have.

    Examples
    --------
    >>> Goal(tau=0.95).describe()
    'tau >= 0.95'
    """

    tau: float | None = None
    mape: float | None = None

    def __post_init__(self) -> None:
        if self.tau is None and self.mape is None:
            raise PredictorError("there is no target to stop at", "Give one of tau, MAPE or both")
        if self.tau is not None and not 0.0 < self.tau < 1.0:
            raise PredictorError(f"a tau of {self.tau:g} cannot be a target", "Give one between 0 and 1")
        if self.mape is not None and not self.mape > 0.0:
            raise PredictorError(f"a MAPE of {self.mape:g} cannot be a target", "Give a positive fraction")

    def describe(self) -> str:
        """The goal in words."""
        tau = [] if self.tau is None else [f"tau >= {self.tau:g}"]
        error = [] if self.mape is None else [f"MAPE <= {100 * self.mape:g} %"]
        return " and ".join(tau + error)


class Look(msgspec.Struct, frozen=True):
    """The scores at one look.

    Attributes
    ----------
    labels, scored : int
        Labels in all, and the random ones that were scored on.
    confidence : float
        Of each bound.
    goal : Goal
    tau, mape : float
    tau_at_least, mape_at_most : float
        One-sided bounds.
    """

    labels: int
    scored: int
    confidence: float
    goal: Goal
    tau: float
    mape: float
    tau_at_least: float
    mape_at_most: float

    @property
    def reached(self) -> bool:
        """Whether the bounds reach the goal."""
        return (self.goal.tau is None or self.tau_at_least >= self.goal.tau) and (
            self.goal.mape is None or self.mape_at_most <= self.goal.mape
        )

    def describe(self) -> str:
        """One line for a person."""
        tau = f"tau {self.tau:.3f} (at least {self.tau_at_least:.3f})"
        error = f"MAPE {100 * self.mape:.1f} % (at most {100 * self.mape_at_most:.1f} %)"
        figures = [tau] * (self.goal.tau is not None) + [error] * (self.goal.mape is not None)
        return (
            f"{self.labels} labels: {', '.join(figures)} with confidence {100 * self.confidence:.1f} %, "
            f"on {self.scored} random networks; target {self.goal.describe()}: "
            f"{'reached' if self.reached else 'not reached'}"
        )


def look_sizes(most: int) -> list[int]:
    """The numbers of labels at which to look, at most ``most``; the same whatever that is.

    Raises PredictorError below the first.

    Examples
    --------
    >>> look_sizes(100)
    [20, 28, 40, 57, 80]
    """
    if most < FIRST_LOOK:
        raise PredictorError(f"{most} labels are too few to look at", f"Allow at least {FIRST_LOOK}")
    sizes = (round(FIRST_LOOK * GROWTH**step) for step in count())
    return list(takewhile(lambda size: size <= most, sizes))


def random_share(size: int) -> int:
    """How many of so many networks are drawn at random.

    Examples
    --------
    >>> random_share(57)
    29
    """
    return math.ceil(RANDOM_SHARE * size)


def confidence_at(size: int) -> float:
    """The confidence of the bounds at one of `look_sizes`.

    Examples
    --------
    >>> [round(confidence_at(size), 4) for size in look_sizes(60)]
    [0.975, 0.9917, 0.9958, 0.9975]
    """
    number = look_sizes(size).index(size) + 1
    return 1.0 - RISK / (number * (number + 1))


def look(
    labelled: LabelledSet,
    random: Sequence[bool],
    goal: Goal,
    *,
    confidence: float,
    estimator: str | None = None,
    seed: int = 0,
) -> Look:
    """The out-of-fold scores of labels, with bounds.

    Parameters
    ----------
    labelled : LabelledSet of n labels
    random : sequence of n bool
        Which networks were drawn at random: those that are scored on.
    goal : Goal
    confidence : float
        Of each one-sided bound.
    estimator : str, optional
        That of `default_estimator` without.
    seed : int
        Of the folds and fits.

    Raises
    ------
    NotEnoughDataError
        For fewer than 8 random networks.
    """
    scored = np.array(random, dtype=bool)
    if scored.sum() < MIN_SCORED:
        raise NotEnoughDataError(
            f"{int(scored.sum())} random networks are too few to score on", f"Measure at least {MIN_SCORED}"
        )
    recipe = default_recipe(
        estimator or default_estimator(labelled.target, labelled.space), labelled.target, labelled.space
    )
    x = make_features(labelled.space, labelled.architectures, labelled.context.task, recipe.features).x
    names = [
        plan_hash or labelled.space.format(each)
        for plan_hash, each in zip(labelled.plan_hashes, labelled.architectures, strict=True)
    ]
    folds = grouped_folds(group_codes(names), FOLDS, 1, seed)
    found = cross_validate(recipe.make, x, labelled.y, folds, scale=recipe.scale, seed=seed)
    y, predicted = labelled.y[scored], found.predicted[0][scored]
    rng = np.random.default_rng([seed, len(labelled)])
    fitted = fit_predictor(recipe.estimator, labelled, rng=rng)
    places = fitted.predict(labelled.space.sample(min(PLACES, labelled.space.size), rng)).mean
    tau, at_least = tau_over_space(y, predicted, places, confidence)
    return Look(
        labels=len(labelled),
        scored=len(y),
        confidence=confidence,
        goal=goal,
        tau=tau,
        mape=mape(y, predicted),
        tau_at_least=at_least,
        mape_at_most=mape_at_most(y, predicted, confidence),
    )


def tau_over_space(y: Floats, predicted: Floats, places: Floats, confidence: float) -> tuple[float, float]:
    """Kendall's tau over a space, and a one-sided lower bound.

    Few networks have few pairs in the wrong order, or none, so that counting these says little: none among 14
    networks is no proof of 0.95. So the relative errors are taken as if each could happen to any network. Two
    networks change their order where their errors differ by more than their predictions do, and what
    predictions differ by is known of the whole space. The bound is a t-interval of the logarithm of the share
    of pairs in the wrong order, with the jackknife's standard error.

    Parameters
    ----------
    y, predicted : (n,) positive, n > 3
        Labels of random networks and what is predicted of them out of fold.
    places : (m,) positive
        What is predicted of many random networks of the space.
    confidence : float

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y, places = rng.uniform(1.0, 9.0, 20), rng.uniform(1.0, 9.0, 300)
    >>> predicted = y * rng.normal(1.0, 0.02, 20)
    >>> tau, at_least = tau_over_space(y, predicted, places, 0.975)
    >>> round(tau, 2), round(at_least, 2)
    (0.98, 0.97)
    """
    n = len(y)
    errors = np.log(y / predicted)
    first, second = np.triu_indices(len(places), 1)
    distances = np.sort(np.abs(np.log(places[first] / places[second])))
    differences = np.abs(errors[:, None] - errors)
    swapped = np.searchsorted(distances, differences) / (2.0 * len(distances))
    np.fill_diagonal(swapped, 0.0)
    sums, resolution = swapped.sum(axis=1), 1.0 / len(distances)
    wrong = max(sums.sum() / (n * (n - 1)), resolution)
    without = np.log(np.maximum((sums.sum() - 2.0 * sums) / ((n - 1) * (n - 2)), resolution))
    error = np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2))
    most = wrong * np.exp(stats.t.ppf(confidence, n - 1) * error)
    return float(1.0 - 2.0 * wrong), float(max(1.0 - 2.0 * most, -1.0))


def mape_at_most(y: Floats, predicted: Floats, confidence: float) -> float:
    """A one-sided upper bound of the mean absolute percentage error, by a t-interval of its logarithm.

    Parameters
    ----------
    y, predicted : (n,) with positive y
    confidence : float

    Examples
    --------
    >>> y = np.array([1.0, 2.0, 4.0, 8.0])
    >>> round(mape_at_most(y, y * [1.01, 0.99, 1.02, 0.98], 0.975), 3)
    0.028
    """
    errors = np.abs(predicted - y) / np.abs(y)
    mean = float(errors.mean())
    if mean == 0.0:
        return 0.0
    relative = errors.std(ddof=1) / (np.sqrt(len(errors)) * mean)
    return float(mean * np.exp(stats.t.ppf(confidence, len(errors) - 1) * relative))


def choose_uncertain(predictor: Predictor, candidates: Sequence[Architecture], n: int) -> list[Architecture]:
    """The most uncertain architecture of each of ``n`` equal parts of the candidates.

    The standard deviation is taken relative to the mean. Parts keep the chosen ones apart: the most uncertain
    of all may be almost the same network.

    Raises PredictorError where there are fewer candidates than parts.
    """
    if len(candidates) < n:
        raise PredictorError(
            f"{n} networks were to be chosen among {len(candidates)}", f"Choose at most {len(candidates)}"
        )
    found = predictor.predict(candidates)
    uncertain = found.std / np.abs(found.mean)
    parts = np.array_split(np.arange(len(candidates)), n) if n else []
    return [candidates[part[np.argmax(uncertain[part])]] for part in parts]
