"""NSGA-II over the codes of a space, by pymoo.

Crossover and mutation are pymoo's simulated binary crossover and polynomial mutation on ordinal codes, with
the settings pymoo recommends for whole numbers, followed by a repair that gives architectures of the space.

References
----------
[Deb2002] K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, "A fast and elitist multiobjective genetic algorithm:
    NSGA-II", IEEE Transactions on Evolutionary Computation 6(2), 2002.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.repair import Repair
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.optimize import minimize

from hytnas_datasets.spaces import Architecture, Space
from hytnas_host.search.repair import as_architectures, as_codes, repair

Score = Callable[[list[Architecture]], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Architectures (n) to minimised objectives (n, m) and constraint violations (n, c), kept where <= 0."""


@dataclass(frozen=True)
class Scored:
    """Architectures with their minimised objectives.

    Attributes
    ----------
    architectures : list of n Architecture
    objectives : (n, m) float64
    violations : (n, c) float64
        By how much each constraint is broken; kept where at most 0.
    """

    architectures: list[Architecture]
    objectives: NDArray[np.float64]
    violations: NDArray[np.float64]

    def take(self, rows: Sequence[int]) -> "Scored":
        """These rows, in this order."""
        chosen = [self.architectures[row] for row in rows]
        return Scored(chosen, self.objectives[rows], self.violations[rows])

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """(n,) bool: which keep to every constraint."""
        return np.asarray((self.violations <= 0).all(axis=1), dtype=np.bool_)


class _SpaceProblem(Problem):  # type: ignore[misc]
    def __init__(self, space: Space, m: int, constraints: int, score: Score | None) -> None:
        lower = [0 if variable.when is None else -1 for variable in space.variables]
        upper = [len(variable.choices) - 1 for variable in space.variables]
        super().__init__(
            n_var=len(lower),
            n_obj=m,
            n_ieq_constr=constraints,
            xl=np.array(lower),
            xu=np.array(upper),
            vtype=int,
        )
        self._space = space
        self._score = score

    def _evaluate(self, x: NDArray[Any], out: dict[str, Any], *_args: Any, **_kwargs: Any) -> None:
        assert self._score is not None
        out["F"], out["G"] = self._score(as_architectures(x, self._space))


class _SpaceRepair(Repair):  # type: ignore[misc]
    def __init__(self, space: Space) -> None:
        super().__init__()
        self._space = space

    def _do(
        self, _problem: Problem, x: NDArray[Any], *, random_state: np.random.Generator, **_: Any
    ) -> NDArray[Any]:
        return repair(np.rint(x).astype(np.int64), self._space, random_state)


def _population(population: Population, space: Space) -> list[Architecture]:
    return as_architectures(np.asarray(population.get("X"), dtype=np.int64), space)


def _algorithm(space: Space, population: int, start: NDArray[np.int64]) -> NSGA2:
    return NSGA2(
        pop_size=population,
        sampling=start,
        crossover=SBX(prob=1.0, eta=3.0, vtype=float),
        mutation=PM(prob=1.0, eta=3.0, vtype=float),
        repair=_SpaceRepair(space),
    )


def evolve(
    space: Space, score: Score, start: Sequence[Architecture], *, generations: int, rng: np.random.Generator
) -> Scored:
    """The last population of NSGA-II on ``score``. [Deb2002]_

    Parameters
    ----------
    space : Space
    score : callable
        Gives objectives and constraint violations of a list of architectures.
    start : sequence of Architecture
        The first population; its length is the size of every population.
    generations : int
        Including the first.
    rng : Generator
    """
    objectives, violations = score(list(start))
    problem = _SpaceProblem(space, objectives.shape[1], violations.shape[1], score)
    algorithm = _algorithm(space, len(start), as_codes(start, space))
    outcome = minimize(problem, algorithm, ("n_gen", generations), seed=int(rng.integers(2**31)))
    final = outcome.pop
    count = len(final)
    return Scored(
        _population(final, space),
        np.asarray(final.get("F"), dtype=np.float64).reshape(count, -1),
        np.asarray(final.get("G"), dtype=np.float64).reshape(count, violations.shape[1]),
    )


def survivors(space: Space, scored: Scored, *, population: int, rng: np.random.Generator) -> list[int]:
    """Rows of at most ``population`` that non-dominated sorting with crowding distance keeps. [Deb2002]_"""
    known = _as_population(scored, space)
    known.set("row", np.arange(len(known)))
    problem, algorithm = _set_up(space, scored, rng)
    n_survive = min(population, len(known))
    kept = algorithm.survival.do(
        problem, known, n_survive=n_survive, algorithm=algorithm, random_state=algorithm.random_state
    )
    rows: list[int] = kept.get("row").tolist()
    return rows


def breed(space: Space, parents: Scored, *, offspring: int, rng: np.random.Generator) -> list[Architecture]:
    """At most ``offspring`` children by binary tournament, crossover and mutation; none equals a parent."""
    problem, algorithm = _set_up(space, parents, rng)
    ranked = algorithm.survival.do(
        problem,
        _as_population(parents, space),
        n_survive=len(parents.architectures),
        algorithm=algorithm,
        random_state=algorithm.random_state,
    )
    children = algorithm.mating.do(
        problem, ranked, offspring, algorithm=algorithm, random_state=algorithm.random_state
    )
    return _population(children, space) if len(children) else []


def _set_up(space: Space, scored: Scored, rng: np.random.Generator) -> tuple[_SpaceProblem, NSGA2]:
    problem = _SpaceProblem(space, scored.objectives.shape[1], scored.violations.shape[1], None)
    codes = as_codes(scored.architectures, space)
    algorithm = _algorithm(space, len(codes), codes)
    algorithm.setup(problem, seed=int(rng.integers(2**31)))
    return problem, algorithm


def _as_population(scored: Scored, space: Space) -> Population:
    return Population.new(X=as_codes(scored.architectures, space), F=scored.objectives, G=scored.violations)
