"""The search of the HyT-NAS paper: Bayesian optimisation with boosted trees and a genetic inner search.

One round: a set of XGBoost models learns the rank-normalised objectives, NSGA-II searches their optimistic
bounds, and of its first two non-dominated fronts the batch with the greatest hypervolume improvement is
evaluated. Objectives that the layer plan gives exactly are not learned: their exact values are used.
"""

from collections.abc import Collection
from typing import ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.spaces import Architecture
from hytnas_host.search import initial as designs
from hytnas_host.search.acquisition import confidence_bound
from hytnas_host.search.constraints import Constraint
from hytnas_host.search.errors import SearchError
from hytnas_host.search.genetic import Scored, evolve
from hytnas_host.search.normalise import RankScale
from hytnas_host.search.objectives import signs, to_minimised
from hytnas_host.search.pareto import front_ranks
from hytnas_host.search.problem import SearchProblem
from hytnas_host.search.repair import as_codes
from hytnas_host.search.selection import greedy_hypervolume
from hytnas_host.search.strategies.base import Strategy
from hytnas_host.search.surrogates import SURROGATES, Surrogate

_MIN_TO_LEARN = 4
_REFERENCE = 1.1


class HytOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `HytStrategy`.

    ``members`` is the size of the surrogate's set for each objective, ``kappa`` the weight of its standard
    deviation, ``population`` and ``generations`` those of NSGA-II on the surrogate, as in the paper.
    """

    surrogate: str = "xgboost"
    members: int = 5
    kappa: float = 1.0
    population: int = 100
    generations: int = 20


class HytStrategy(Strategy):
    """Surrogate, NSGA-II on its confidence bound, batch by greedy hypervolume improvement.

    Parameters
    ----------
    problem, rng, initial :
        As for every strategy; the initial design is a Latin hypercube.
    options :
        Those of `HytOptions`.

    Raises
    ------
    SearchError
        For an unknown surrogate or an impossible setting.
    """

    name: ClassVar[str] = "hyt"
    learns: ClassVar[bool] = True

    def __init__(
        self,
        problem: SearchProblem,
        rng: np.random.Generator,
        *,
        initial: int = 30,
        surrogate: str = "xgboost",
        members: int = 5,
        kappa: float = 1.0,
        population: int = 100,
        generations: int = 20,
    ) -> None:
        super().__init__(problem, rng, initial=initial)
        self._options = HytOptions(surrogate, members, kappa, population, generations)
        if surrogate not in SURROGATES:
            raise SearchError(f"There is no surrogate {surrogate!r}", f"Choose from {', '.join(SURROGATES)}")
        if population < 4 or generations < 1 or not kappa >= 0:
            raise SearchError("hyt needs a population of at least 4, a generation, and a kappa of at least 0")
        SURROGATES[surrogate](members)

    def _initial_design(self, n: int) -> list[Architecture]:
        return designs.latin_hypercube(self.problem, n, self.seen, self.rng)

    def _propose(self, n: int, seen: Collection[str]) -> list[Architecture]:
        if len(self.architectures) < _MIN_TO_LEARN:
            return []
        view = _SurrogateView.learn(self, self._options)
        population = evolve(
            self.problem.space,
            view.score,
            self._start(view.ranks),
            generations=self._options.generations,
            rng=self.rng,
        )
        candidates = self._candidates(population, n, seen)
        chosen = self._best_batch(view, candidates, n) if candidates else []
        nearly = np.argsort(np.maximum(population.violations, 0.0).sum(axis=1), kind="stable")
        return chosen + [population.architectures[index] for index in nearly]

    def _best_batch(
        self, view: "_SurrogateView", candidates: list[Architecture], n: int
    ) -> list[Architecture]:
        """The ``n`` candidates that promise the greatest hypervolume improvement together."""
        mean, std = view.predict(candidates)
        bound = confidence_bound(mean, std, kappa=self._options.kappa)
        chosen = greedy_hypervolume(
            self._present(view),
            bound,
            np.full(bound.shape[1], _REFERENCE),
            n,
            preference=std.mean(axis=1),
        )
        return [candidates[index] for index in chosen]

    def _start(self, ranks: NDArray[np.float64]) -> list[Architecture]:
        """The first population on the surrogate: the best of what was told, and random architectures."""
        size = min(self._options.population, self.problem.space.size)
        feasible = self.feasible
        order = np.lexsort((np.arange(len(ranks)), ranks.sum(axis=1), front_ranks(ranks), ~feasible))
        best = [self.architectures[index] for index in order[: size // 2]]
        return best + self.problem.space.sample(size - len(best), self.rng, exclude=best)

    def _candidates(self, population: Scored, n: int, seen: Collection[str]) -> list[Architecture]:
        """New networks of the first two fronts of those that promise to keep to the constraints.

        Of as many more fronts as it takes to have ``n``, where there are as many.
        """
        keeps = np.flatnonzero(population.feasible)
        ranks = front_ranks(population.objectives[keeps])
        candidates: list[Architecture] = []
        for last in range(1, int(ranks.max(initial=0)) + 2):
            members = [population.architectures[index] for index in keeps[ranks <= last]]
            candidates = self.problem.select_new(members, seen)
            if len(candidates) >= n:
                break
        return candidates

    def _present(self, view: "_SurrogateView") -> NDArray[np.float64]:
        """(f, m) ranks of what a new point has to improve on: told and feasible, or pending as predicted."""
        waiting = list(self.pending.values())
        told = view.ranks[self.feasible]
        return np.vstack([told, view.predict(waiting)[0]]) if waiting else told


class _SurrogateView:
    """The rank-normalised objectives as the surrogate sees them, in the problem of one strategy."""

    def __init__(
        self, problem: SearchProblem, scale: RankScale, ranks: NDArray[np.float64], kappa: float
    ) -> None:
        self._problem = problem
        self._scale = scale
        self.ranks = ranks
        self._kappa = kappa
        exact = set(problem.exact_columns)
        self._learned = [column for column in range(len(problem.objectives)) if column not in exact]
        self._surrogate: Surrogate | None = None

    @classmethod
    def learn(cls, strategy: Strategy, options: HytOptions) -> "_SurrogateView":
        """Fit the surrogate to all that the strategy was told."""
        scale = RankScale.fit(strategy.minimised)
        view = cls(strategy.problem, scale, scale.transform(strategy.minimised), options.kappa)
        if view._learned:
            features = as_codes(strategy.architectures, strategy.problem.space).astype(np.float64)
            surrogate = SURROGATES[options.surrogate](options.members)
            view._surrogate = surrogate.fit(features, view.ranks[:, view._learned], rng=strategy.rng)
        return view

    def predict(self, architectures: list[Architecture]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of the ranks, each (n, m); 0 for exact objectives."""
        exact = to_minimised(self._problem.exact_values(architectures), self._problem.objectives)
        mean, std = np.zeros_like(exact), np.zeros_like(exact)
        for column in self._problem.exact_columns:
            mean[:, column] = self._scale.column(column, exact[:, column])
        if self._surrogate is not None:
            features = as_codes(architectures, self._problem.space).astype(np.float64)
            mean[:, self._learned], std[:, self._learned] = self._surrogate.predict(features)
        return mean, std

    def score(self, architectures: list[Architecture]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Confidence bounds (n, m) and constraint violations (n, c) of architectures."""
        mean, std = self.predict(architectures)
        predicted = [self._predicted_violation(c, mean) for c in self._problem.evaluated_constraints]
        violations = np.column_stack([self._problem.exact_violation(architectures), *predicted])
        return confidence_bound(mean, std, kappa=self._kappa), violations

    def _predicted_violation(self, constraint: Constraint, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) by how much the predicted ranks miss the rank of the bound."""
        column = self._problem.names.index(constraint.name)
        sign = signs(self._problem.objectives)[column]
        limit = self._scale.column(column, np.array([sign * constraint.bound]))[0]
        at_most = (constraint.relation == "<=") == (sign > 0)
        return np.asarray(mean[:, column] - limit if at_most else limit - mean[:, column], dtype=np.float64)
