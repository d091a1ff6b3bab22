"""Bayesian searches: a model of what was evaluated says what to evaluate next.

One round: a surrogate learns the rank-normalised objectives, a solver looks for the candidates whose
acquisition is best, and of these a selection takes a batch. Objectives that the layer plan gives exactly are
not learned: their exact values are used. The strategies differ in what they are made of, and an option
exchanges each part.
"""

from collections.abc import Collection
from typing import ClassVar, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.spaces import Architecture
from hytnas_host.search.acquisition import ACQUISITIONS, Acquisition
from hytnas_host.search.constraints import Constraint
from hytnas_host.search.errors import SearchError
from hytnas_host.search.genetic import Scored, evolve
from hytnas_host.search.normalise import RankScale
from hytnas_host.search.objectives import signs, to_minimised
from hytnas_host.search.pareto import front_ranks
from hytnas_host.search.problem import SearchProblem
from hytnas_host.search.selection import SELECTIONS, Offer
from hytnas_host.search.strategies.base import Strategy
from hytnas_host.search.surrogates import Surrogate, make_surrogate, surrogate_features

_MIN_TO_LEARN = 4
_REFERENCE = 1.1

WHOLE: Final = 2_000
"""The solver ``auto`` looks at all candidates where there are no more than so many."""

Solver = Literal["auto", "nsga2", "exhaustive"]
SOLVERS: Final[tuple[Solver, ...]] = ("auto", "nsga2", "exhaustive")


class BayesianOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a `BayesianStrategy` is made of.

    Attributes
    ----------
    surrogate : str
        See `make_surrogate`.
    members : int, optional
        Size of the set for each objective of ``xgboost-set``.
    acquisition : str
        A name in `ACQUISITIONS`.
    kappa : float
        The weight of the standard deviation in the acquisition ``ucb``.
    solver : "auto", "nsga2" or "exhaustive"
        NSGA-II on the acquisition, or all candidates; ``auto`` looks at all where they are few (`WHOLE`).
    population, generations : int
        Those of NSGA-II on the acquisition.
    fronts : int
        From how many non-dominated fronts of the acquisition the selection takes.
    selection : str
        A name in `SELECTIONS`.
    """

    surrogate: str = "xgboost-set"
    members: int | None = None
    acquisition: str = "ucb"
    kappa: float = 1.0
    solver: Solver = "auto"
    population: int = 100
    generations: int = 20
    fronts: int = 2
    selection: str = "hypervolume"

    def check(self) -> None:
        """Raise SearchError for an unknown part or an impossible setting."""
        make_surrogate(self.surrogate, self.members)
        ACQUISITIONS.get(self.acquisition)
        SELECTIONS.get(self.selection)
        if self.solver not in SOLVERS:
            raise SearchError(f"There is no solver {self.solver!r}", f"Choose from {', '.join(SOLVERS)}")
        if self.population < 4 or self.generations < 1 or self.fronts < 1 or not self.kappa >= 0:
            raise SearchError(
                "A Bayesian search needs a population of at least 4, a generation, a front, "
                "and a kappa of at least 0"
            )


class BayesianStrategy(Strategy):
    """Surrogate, solver on its acquisition, selection of a batch.

    Parameters
    ----------
    problem, rng, initial, design :
        As for every strategy; the initial design is a Latin hypercube.
    options :
        Those of `BayesianOptions`; what is not given is what the strategy is made of by itself.

    Raises
    ------
    SearchError
        For an unknown part or an impossible setting.
    """

    learns: ClassVar[bool] = True
    default_design: ClassVar[str] = "lhs"
    defaults: ClassVar[BayesianOptions] = BayesianOptions()

    def __init__(
        self,
        problem: SearchProblem,
        rng: np.random.Generator,
        *,
        initial: int = 30,
        design: str | None = None,
        **options: str | float,
    ) -> None:
        super().__init__(problem, rng, initial=initial, design=design)
        try:
            changed = {**msgspec.structs.asdict(self.defaults), **options}
            self._options = msgspec.convert(changed, BayesianOptions)
        except msgspec.ValidationError as error:
            raise SearchError(f"The strategy {self.name} cannot be made with {options}: {error}") from error
        self._options.check()
        self._acquire: Acquisition = ACQUISITIONS.get(self._options.acquisition)(self._options.kappa)
        self._select = SELECTIONS.get(self._options.selection)()

    def _propose(self, n: int, seen: Collection[str]) -> list[Architecture]:
        if len(self.architectures) < _MIN_TO_LEARN:
            return []
        view = _SurrogateView.learn(self, self._options, self._acquire)
        population = self._solve(view, seen)
        candidates = self._candidates(population, n, seen)
        chosen = self._best_batch(view, candidates, n) if candidates else []
        nearly = np.argsort(np.maximum(population.violations, 0.0).sum(axis=1), kind="stable")
        return chosen + [population.architectures[index] for index in nearly[: len(nearly) if n else 0]]

    def _solve(self, view: "_SurrogateView", seen: Collection[str]) -> Scored:
        """Candidates of a good acquisition."""
        problem, options = self.problem, self._options
        few = problem.space.size if problem.candidates is None else len(problem.candidates)
        if options.solver == "exhaustive" or (options.solver == "auto" and few <= WHOLE):
            every = list(problem.candidates or problem.space.enumerate())
            left = problem.select_new(every, seen)
            return Scored(left, *view.score(left)) if left else Scored([], *view.score(every[:1])).take([])
        return evolve(
            problem.space,
            view.score,
            self._start(view.ranks),
            generations=options.generations,
            rng=self.rng,
        )

    def _best_batch(
        self, view: "_SurrogateView", candidates: list[Architecture], n: int
    ) -> list[Architecture]:
        """The ``n`` candidates that the selection prefers."""
        mean, std = view.predict(candidates)
        acquired = view.acquire(mean, std)
        offer = Offer(
            present=self._present(view),
            values=acquired if self._acquire.in_units else mean,
            acquired=acquired,
            std=std,
            reference_point=np.full(mean.shape[1], _REFERENCE),
        )
        return [candidates[index] for index in self._select(offer, n, self.rng)]

    def _start(self, ranks: NDArray[np.float64]) -> list[Architecture]:
        """The first population on the surrogate: the best of what was told, and random architectures."""
        size = min(self._options.population, self.problem.space.size)
        feasible = self.feasible
        order = np.lexsort((np.arange(len(ranks)), ranks.sum(axis=1), front_ranks(ranks), ~feasible))
        best = [self.architectures[index] for index in order[: size // 2]]
        return best + self.problem.space.sample(size - len(best), self.rng, exclude=best)

    def _candidates(self, population: Scored, n: int, seen: Collection[str]) -> list[Architecture]:
        """New networks of the first fronts of those that promise to keep to the constraints.

        Of as many more fronts as it takes to have ``n``, where there are as many.
        """
        keeps = np.flatnonzero(population.feasible)
        if not len(keeps):
            return []
        ranks = front_ranks(population.objectives[keeps])
        candidates: list[Architecture] = []
        for last in range(self._options.fronts - 1, int(ranks.max(initial=0)) + self._options.fronts):
            members = [population.architectures[index] for index in keeps[ranks <= last]]
            candidates = self.problem.select_new(self.problem.nearest(members, seen), seen)
            if len(candidates) >= n:
                break
        return candidates

    def _present(self, view: "_SurrogateView") -> NDArray[np.float64]:
        """(f, m) ranks of what a new point has to improve on: told and feasible, or pending as predicted."""
        waiting = list(self.pending.values())
        told = view.ranks[self.feasible]
        return np.vstack([told, view.predict(waiting)[0]]) if waiting else told


class HytStrategy(BayesianStrategy):
    """The search of the paper: a set of XGBoost models, confidence bound, hypervolume improvement."""

    name: ClassVar[str] = "hyt"


class HytPlusStrategy(BayesianStrategy):
    """As `HytStrategy`, with a Gaussian process and a set of XGBoost models as one mixture, by its mean.

    ``benchmarks/search_nmt.py`` compares it with the others.
    """

    name: ClassVar[str] = "hyt-plus"
    defaults: ClassVar[BayesianOptions] = BayesianOptions(surrogate="gp+xgboost-set", acquisition="mean")


class MoboGpStrategy(BayesianStrategy):
    """The usual multi-objective Bayesian optimisation: a Gaussian process and the expected improvement.

    The batch is taken from the non-dominated front of the expected improvements, at random.
    """

    name: ClassVar[str] = "mobo-gp"
    defaults: ClassVar[BayesianOptions] = BayesianOptions(
        surrogate="gp", acquisition="ei", fronts=1, selection="random"
    )


class _SurrogateView:
    """The rank-normalised objectives as the surrogate sees them, in the problem of one strategy."""

    def __init__(
        self, strategy: Strategy, scale: RankScale, ranks: NDArray[np.float64], acquire: Acquisition
    ) -> None:
        self._problem = strategy.problem
        self._scale = scale
        self.ranks = ranks
        self._acquire = acquire
        usable = ranks[strategy.feasible] if strategy.feasible.any() else ranks
        self._best = usable.min(axis=0)
        exact = set(self._problem.exact_columns)
        self._learned = [column for column in range(ranks.shape[1]) if column not in exact]
        self._surrogate: Surrogate | None = None

    @classmethod
    def learn(cls, strategy: Strategy, options: BayesianOptions, acquire: Acquisition) -> "_SurrogateView":
        """Fit the surrogate to all that the strategy was told."""
        scale = RankScale.fit(strategy.minimised)
        view = cls(strategy, scale, scale.transform(strategy.minimised), acquire)
        if view._learned:
            features = surrogate_features(strategy.problem.space, strategy.architectures)
            surrogate = make_surrogate(options.surrogate, options.members)
            view._surrogate = surrogate.fit(features, view.ranks[:, view._learned], rng=strategy.rng)
        return view

    def predict(self, architectures: list[Architecture]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of the ranks, each (n, m); 0 for exact objectives."""
        exact = to_minimised(self._problem.exact_values(architectures), self._problem.objectives)
        mean, std = np.zeros_like(exact), np.zeros_like(exact)
        for column in self._problem.exact_columns:
            mean[:, column] = self._scale.column(column, exact[:, column])
        if self._surrogate is not None:
            features = surrogate_features(self._problem.space, architectures)
            mean[:, self._learned], std[:, self._learned] = self._surrogate.predict(features)
        return mean, std

    def acquire(self, mean: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, m) acquisition, minimised; that of an exact objective is its value."""
        acquired = self._acquire(mean, std, self._best)
        exact = list(self._problem.exact_columns)
        acquired[:, exact] = mean[:, exact]
        return acquired

    def score(self, architectures: list[Architecture]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Acquisition (n, m) and constraint violations (n, c) of architectures."""
        mean, std = self.predict(architectures)
        predicted = [self._predicted_violation(c, mean) for c in self._problem.evaluated_constraints]
        violations = np.column_stack([self._problem.exact_violation(architectures), *predicted])
        return self.acquire(mean, std), violations

    def _predicted_violation(self, constraint: Constraint, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) by how much the predicted ranks miss the rank of the bound."""
        column = self._problem.names.index(constraint.name)
        sign = signs(self._problem.objectives)[column]
        limit = self._scale.column(column, np.array([sign * constraint.bound]))[0]
        at_most = (constraint.relation == "<=") == (sign > 0)
        return np.asarray(mean[:, column] - limit if at_most else limit - mean[:, column], dtype=np.float64)
