"""Surrogates: cheap stand-ins for the objectives, each with a mean and a standard deviation.

They are made of the estimators of `hytnas_predictors`, one for each objective. The surrogate of the paper is
a set of XGBoost models whose settings are drawn from a grid.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from typing import Final, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from hytnas_agent.registry import Registry
from hytnas_datasets.spaces import Architecture, Space
from hytnas_host.search.errors import SearchError
from hytnas_host.search.repair import as_codes
from hytnas_predictors.estimators import ESTIMATORS, Estimator, make_estimator
from hytnas_predictors.estimators.gaussian_process import FittedProcess, fit_process
from hytnas_predictors.estimators.mlp import MLP1Estimator

T = TypeVar("T")
V = TypeVar("V")
Floats = NDArray[np.float64]

ESTIMATORS_GRID: Final = (100, 400, 800, 1000)
MAX_DEPTH_GRID: Final = (3, 6, 12)
LEARNING_RATE_GRID: Final = (0.01, 0.1, 0.5)
GRID: Final = tuple(product(ESTIMATORS_GRID, MAX_DEPTH_GRID, LEARNING_RATE_GRID))
"""The 36 settings (n_estimators, max_depth, learning_rate) of the paper."""


class Surrogate(Protocol):
    """Learns m objectives from n architectures with d features each."""

    def fit(self, x: Floats, y: Floats, *, rng: np.random.Generator) -> Self:
        """Learn ``y`` (n, m) from ``x`` (n, d)."""
        ...

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
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

    def fit(self, x: Floats, y: Floats, *, rng: np.random.Generator) -> Self:
        """Learn ``y`` (n, m) from ``x`` (n, d), all m objectives with the same drawn settings."""
        drawn = [GRID[index] for index in rng.choice(len(GRID), size=self._members, replace=False)]
        makers = [
            partial(
                make_estimator,
                "xgboost",
                n_estimators=n_estimators,
                max_depth=max_depth,
                learning_rate=learning_rate,
                members=1,
            )
            for n_estimators, max_depth, learning_rate in drawn
        ]
        self._fitted = _fit_all(makers, x, y, rng)
        return self

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation over the set, each (k, m), at ``x`` (k, d)."""
        models = [model for of_objective in self._fitted for model in of_objective]
        each = np.array(_in_threads(lambda model: model.predict(x), models), dtype=np.float64)
        each = each.reshape(len(self._fitted), -1, len(x))
        return each.mean(axis=1).T, each.std(axis=1, ddof=1).T


class EstimatorSurrogate:
    """One estimator of `hytnas_predictors` for each objective, with the standard deviation that it gives.

    That of an ensemble is how far its members disagree: ``mlp1`` and ``mlp2``, networks of one and two hidden
    layers, are deep ensembles.

    Parameters
    ----------
    make : callable
        Makes an unfitted estimator.
    """

    def __init__(self, make: Callable[[], Estimator]) -> None:
        self._make = make
        self._fitted: list[list[Estimator]] = []

    def fit(self, x: Floats, y: Floats, *, rng: np.random.Generator) -> Self:
        """Learn ``y`` (n, m) from ``x`` (n, d)."""
        self._fitted = _fit_all([self._make], x, y, rng)
        return self

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation, each (k, m), at ``x`` (k, d)."""
        found = [model.predict_with_std(x) for (model,) in self._fitted]
        return np.column_stack([mean for mean, _ in found]), np.column_stack([std for _, std in found])


def make_shallow_networks() -> EstimatorSurrogate:
    """Networks of one hidden layer."""
    return EstimatorSurrogate(MLP1Estimator)


class GaussianProcesses:
    """A Gaussian process for each objective; the standard deviation leaves out the noise of labels."""

    def __init__(self) -> None:
        self._fitted: list[FittedProcess] = []

    def fit(self, x: Floats, y: Floats, *, rng: np.random.Generator) -> Self:
        """Learn ``y`` (n, m) from ``x`` (n, d)."""
        self._fitted = [fit_process(x, np.ascontiguousarray(column), rng=rng) for column in y.T]
        return self

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation, each (k, m), at ``x`` (k, d)."""
        found = [process.predict(x, with_noise=False) for process in self._fitted]
        return np.column_stack([mean for mean, _ in found]), np.column_stack([std for _, std in found])


class Mixture:
    """Several surrogates with equal weight: their posteriors are the components of a mixture.

    The variance is the mean of theirs and what their means differ by.
    """

    def __init__(self, parts: Sequence[Surrogate]) -> None:
        self._parts = list(parts)

    def fit(self, x: Floats, y: Floats, *, rng: np.random.Generator) -> Self:
        """Fit each of them."""
        for part in self._parts:
            part.fit(x, y, rng=rng)
        return self

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the mixture, each (k, m), at ``x`` (k, d)."""
        found = [part.predict(x) for part in self._parts]
        means = np.stack([mean for mean, _ in found])
        variance = np.mean([std**2 for _, std in found], axis=0) + means.var(axis=0)
        return means.mean(axis=0), np.sqrt(variance)


SURROGATES: Final[Registry[Callable[[], Surrogate]]] = Registry(
    "hytnas.surrogates",
    "surrogate",
    {
        "xgboost-set": "hytnas_host.search.surrogates:XGBoostSet",
        "gp": "hytnas_host.search.surrogates:GaussianProcesses",
        "mlp1": "hytnas_host.search.surrogates:make_shallow_networks",
    },
    error=SearchError,
    accepts=callable,
)
"""Surrogates by name, each made without an argument; estimators by name are surrogates, too."""


def list_surrogates() -> tuple[str, ...]:
    """Names of the surrogates, those of their own first, then the estimators that need no layer plan."""
    own = SURROGATES.names()
    return (*own, *(name for name in ESTIMATORS.names() if name not in (*own, "layerwise", "transfer")))


def make_surrogate(name: str, members: int | None = None) -> Surrogate:
    """The surrogate of this name, or a mixture of several with ``+`` between their names.

    Parameters
    ----------
    name : str
        Of `list_surrogates`, e.g. ``gp+xgboost-set``.
    members : int, optional
        Size of the set of ``xgboost-set``.

    Raises
    ------
    SearchError
        For an unknown name or an impossible size.
    """
    if "+" in name:
        return Mixture([make_surrogate(part, members) for part in name.split("+")])
    if name == "xgboost-set":
        return XGBoostSet() if members is None else XGBoostSet(members)
    if name in SURROGATES:
        return SURROGATES.get(name)()
    if name not in list_surrogates():
        raise SearchError(f"There is no surrogate {name!r}", f"Choose from {', '.join(list_surrogates())}")
    return EstimatorSurrogate(partial(make_estimator, name))


def surrogate_features(space: Space, architectures: Sequence[Architecture]) -> Floats:
    """(n, d) what surrogates learn from: the place of a choice among the numbers, an indicator of each word.

    A variable whose choices are all numbers has one column; another has one for each choice.
    """
    codes = as_codes(architectures, space)
    columns = []
    for column, variable in zip(codes.T, space.variables, strict=True):
        if any(isinstance(choice, str) for choice in variable.choices) and len(variable.choices) > 2:
            columns += [column == place for place in range(len(variable.choices))]
        else:
            columns.append(column)
    return np.column_stack(columns).astype(np.float64)


def _fit_all(
    makers: Sequence[Callable[[], Estimator]], x: Floats, y: Floats, rng: np.random.Generator
) -> list[list[Estimator]]:
    """For each of the m objectives, the estimators that the makers make, fitted."""
    seeds = rng.integers(2**63, size=(y.shape[1], len(makers))).tolist()
    jobs = [
        (maker, np.ascontiguousarray(column), seed)
        for column, row in zip(y.T, seeds, strict=True)
        for maker, seed in zip(makers, row, strict=True)
    ]

    def fit(job: tuple[Callable[[], Estimator], Floats, int]) -> Estimator:
        maker, column, seed = job
        return maker().fit(x, column, rng=np.random.default_rng(seed))

    fitted = _in_threads(fit, jobs)
    return [fitted[start : start + len(makers)] for start in range(0, len(fitted), len(makers))]


def _in_threads(work: Callable[[T], V], jobs: Sequence[T]) -> list[V]:
    """``work`` of each job, in order, on as many threads as there are cores.

    Worth it for libraries that let other threads run meanwhile, as XGBoost does.
    """
    threads = min(len(jobs), len(os.sched_getaffinity(0)))
    if threads < 2:
        return [work(job) for job in jobs]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, jobs))
