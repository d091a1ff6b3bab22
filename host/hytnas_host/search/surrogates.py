"""Surrogates: cheap stand-ins for the objectives, each with a mean and a standard deviation.

The surrogate of the paper is a set of XGBoost models whose settings are drawn from a grid; their mean and
standard deviation are the prediction. The models are the estimators of `hytnas_predictors`.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Final, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from hytnas_host.search.errors import SearchError
from hytnas_predictors.estimators import Estimator, make_estimator

T = TypeVar("T")
V = TypeVar("V")

ESTIMATORS_GRID: Final = (100, 400, 800, 1000)
MAX_DEPTH_GRID: Final = (3, 6, 12)
LEARNING_RATE_GRID: Final = (0.01, 0.1, 0.5)
GRID: Final = tuple(product(ESTIMATORS_GRID, MAX_DEPTH_GRID, LEARNING_RATE_GRID))
"""The 36 settings (n_estimators, max_depth, learning_rate) of the paper."""


class Surrogate(Protocol):
    """Learns m objectives from n architectures with d features each."""

    def fit(self, x: NDArray[np.float64], y: NDArray[np.float64], *, rng: np.random.Generator) -> Self:
        """Learn ``y`` (n, m) from ``x`` (n, d)."""
        ...

    def predict(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation, each (k, m), at ``x`` (k, d)."""
        ...


class XGBoostSet:
    """A set of XGBoost regressors with settings drawn from `GRID`, drawn anew at each fit.

    Parameters
    ----------
    members : int
        Size of the set for each objective, 2 to 36.

    Raises
    ------
    SearchError
        For another size.
    """

    def __init__(self, members: int = 5) -> None:
        if not 2 <= members <= len(GRID):
            raise SearchError(f"A set of {members} XGBoost models cannot be drawn", f"Take 2 to {len(GRID)}")
        self._members = members
        self._fitted: list[list[Estimator]] = []

    def fit(self, x: NDArray[np.float64], y: NDArray[np.float64], *, rng: np.random.Generator) -> Self:
        """Learn ``y`` (n, m) from ``x`` (n, d), all m objectives with the same drawn settings."""
        drawn = [GRID[index] for index in rng.choice(len(GRID), size=self._members, replace=False)]
        seeds = rng.integers(2**63, size=(y.shape[1], len(drawn))).tolist()
        jobs = [
            (setting, np.ascontiguousarray(column), seed)
            for column, row in zip(y.T, seeds, strict=True)
            for setting, seed in zip(drawn, row, strict=True)
        ]
        fitted = in_threads(lambda job: _fit_one(x, *job), jobs)
        self._fitted = [fitted[i : i + len(drawn)] for i in range(0, len(fitted), len(drawn))]
        return self

    def predict(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation over the set, each (k, m), at ``x`` (k, d)."""
        models = [model for of_objective in self._fitted for model in of_objective]
        each = np.array(in_threads(lambda model: model.predict(x), models), dtype=np.float64)
        each = each.reshape(len(self._fitted), -1, len(x))
        return each.mean(axis=1).T, each.std(axis=1, ddof=1).T


def _fit_one(
    x: NDArray[np.float64], setting: tuple[int, int, float], y: NDArray[np.float64], seed: int
) -> Estimator:
    n_estimators, max_depth, learning_rate = setting
    model = make_estimator(
        "xgboost", n_estimators=n_estimators, max_depth=max_depth, learning_rate=learning_rate, members=1
    )
    return model.fit(x, y, rng=np.random.default_rng(seed))


def in_threads(work: Callable[[T], V], jobs: Sequence[T]) -> list[V]:
    """``work`` of each job, in order, on as many threads as there are cores.

    Worth it for libraries that let other threads run meanwhile, as XGBoost does.
    """
    threads = min(len(jobs), len(os.sched_getaffinity(0)))
    if threads < 2:
        return [work(job) for job in jobs]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, jobs))


SURROGATES: Final[dict[str, Callable[[int], Surrogate]]] = {"xgboost": XGBoostSet}
"""Surrogates by name; each is made from the size of its ensemble."""
