"""NSGA-II on real evaluations.

References
----------
[Deb2002] K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, "A fast and elitist multiobjective genetic algorithm:
    NSGA-II", IEEE Transactions on Evolutionary Computation 6(2), 2002.
"""

from typing import ClassVar

import numpy as np

from hytnas_datasets.spaces import Architecture
from hytnas_host.search.constraints import violation
from hytnas_host.search.errors import SearchError
from hytnas_host.search.genetic import Scored, survivors_and_offspring
from hytnas_host.search.problem import SearchProblem
from hytnas_host.search.strategies.base import Strategy


class Nsga2Strategy(Strategy):
    """NSGA-II in its (mu + lambda) form: each ask breeds from the best of all that was told. [Deb2002]_

    Parameters
    ----------
    problem, rng, initial :
        As for every strategy; the initial design is the first population.
    population : int
        How many survive to be parents (mu); the size of a batch is lambda.
    """

    name: ClassVar[str] = "nsga2"

    def __init__(
        self, problem: SearchProblem, rng: np.random.Generator, *, initial: int = 30, population: int = 30
    ) -> None:
        super().__init__(problem, rng, initial=initial)
        if population < 2:
            raise SearchError(f"A population of {population} cannot breed", "Take at least 2")
        self._population = population

    def _propose(self, n: int, seen: set[str]) -> list[Architecture]:
        values = {name: self.values[:, column] for column, name in enumerate(self.problem.names)}
        broken = [violation(c, values[c.name]) for c in self.problem.evaluated_constraints]
        violations = np.column_stack(broken) if broken else np.zeros((len(self.architectures), 0))
        born: list[Architecture] = []
        for _ in range(3):
            parents = Scored(self.architectures, self.minimised, violations)
            _, children = survivors_and_offspring(
                self.problem.space, parents, population=self._population, offspring=2 * n, rng=self.rng
            )
            born += children
            if len(self.problem.select_new(born, seen, n)) >= n:
                break
        return born
