"""NSGA-II on real evaluations.

References
----------
[Deb2002] K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, "A fast and elitist multiobjective genetic algorithm:
    NSGA-II", IEEE Transactions on Evolutionary Computation 6(2), 2002.
"""

from collections.abc import Collection
from typing import Any, ClassVar, Final

import numpy as np

from hytnas_datasets.spaces import Architecture
from hytnas_host.search.constraints import violation
from hytnas_host.search.errors import SearchError
from hytnas_host.search.genetic import Scored, breed, survivors
from hytnas_host.search.problem import SearchProblem
from hytnas_host.search.strategies.base import Strategy

MAX_BROODS: Final = 6
"""How often the parents breed for one batch; what is still missing then is drawn at random."""


class Nsga2Strategy(Strategy):
    """NSGA-II in its (mu + lambda) form: each ask breeds from the survivors of all that was told. [Deb2002]_

    Parameters
    ----------
    problem, rng, initial :
        As for every strategy; the initial design is the first population.
    population : int, optional
        How many survive to be parents (mu), by default as many as the initial design has; the size of a
        batch is lambda.
    """

    name: ClassVar[str] = "nsga2"

    def __init__(
        self,
        problem: SearchProblem,
        rng: np.random.Generator,
        *,
        initial: int = 30,
        design: str | None = None,
        population: int | None = None,
    ) -> None:
        super().__init__(problem, rng, initial=initial, design=design)
        population = max(initial, 2) if population is None else population
        if population < 2:
            raise SearchError(f"A population of {population} cannot breed", "Take at least 2")
        self._population = population
        self._parents: list[int] = []
        self._sorted = 0

    def memory(self) -> dict[str, Any]:
        """Which of those told are the parents, and how many were told when they were chosen."""
        return {"parents": self._parents, "sorted": self._sorted}

    def recall(self, memory: dict[str, Any]) -> None:
        """Take back the parents; those that were told later than what is known are left out."""
        told = len(self.architectures)
        parents = [int(index) for index in memory["parents"]]
        if any(index < 0 for index in parents) or len(set(parents)) < len(parents):
            raise ValueError(f"parents numbered {parents}")
        self._parents = [index for index in parents if index < told]
        self._sorted = min(max(int(memory["sorted"]), 0), told)

    def _propose(self, n: int, seen: Collection[str]) -> list[Architecture]:
        parents = self._select()
        born: list[Architecture] = []
        for _ in range(MAX_BROODS):
            born += breed(self.problem.space, parents, offspring=n, rng=self.rng)
            born = self.problem.select_new(self.problem.nearest(born, seen, n), seen, n)
            if len(born) >= n:
                break
        return born

    def _select(self) -> Scored:
        """Let the best survive of the parents and of what was told since they were chosen."""
        told = len(self.architectures)
        members = [*self._parents, *range(self._sorted, told)]
        scored = self._scored(members)
        if self._sorted < told:
            kept = survivors(self.problem.space, scored, population=self._population, rng=self.rng)
            members, scored = [members[row] for row in kept], scored.take(kept)
        self._parents, self._sorted = members, told
        return scored

    def _scored(self, members: list[int]) -> Scored:
        values = self.values[members]
        broken = [
            violation(c, values[:, self.problem.names.index(c.name)])
            for c in self.problem.evaluated_constraints
        ]
        violations = np.column_stack(broken) if broken else np.zeros((len(members), 0))
        return Scored([self.architectures[index] for index in members], self.minimised[members], violations)
