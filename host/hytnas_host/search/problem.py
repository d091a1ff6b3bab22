"""The search problem: a space, objectives, constraints, and the metrics that are known exactly."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.spaces import Architecture, Space
from hytnas_host.search.constraints import Constraint, satisfied, violation
from hytnas_host.search.errors import ConstraintError
from hytnas_host.search.exact_metrics import ExactMetrics
from hytnas_host.search.objectives import check_objectives
from hytnas_host.search.repair import as_codes
from hytnas_host.search.result import Objective

ENUMERABLE: Final = 5_000
"""Spaces up to this size are enumerated when random draws find nothing new."""

MAX_DRAWS: Final = 20_000
"""Random draws after which a larger space counts as having nothing new and feasible."""


@dataclass(frozen=True)
class SearchProblem:
    """The problem that a strategy works on.

    Attributes
    ----------
    space : Space
    objectives : tuple of m Objective
    exact_metrics : ExactMetrics
        Identity and exact metrics of architectures.
    constraints : tuple of Constraint
        Each on an exact metric or on an objective.
    excluded : callable or None
        Takes n architectures and gives (n,) bool: which are not admissible for another reason than a
        constraint, such as being outside the range of a predictor's training.
    candidates : tuple of Architecture, optional
        The only architectures that may be evaluated, where not all of the space: the rows of a table.

    Raises
    ------
    SearchError
        Without objectives, or with one twice.
    ConstraintError
        For a constraint on something that is neither exact nor an objective.
    """

    space: Space
    objectives: tuple[Objective, ...]
    exact_metrics: ExactMetrics
    constraints: tuple[Constraint, ...] = ()
    excluded: Callable[[Sequence[Architecture]], NDArray[np.bool_]] | None = None
    candidates: tuple[Architecture, ...] | None = None

    def __post_init__(self) -> None:
        check_objectives(self.objectives)
        names = {*self.exact_metrics.names, *self.names}
        for constraint in self.constraints:
            if constraint.name not in names:
                raise ConstraintError(
                    f"This search does not compute what the constraint '{constraint}' is on",
                    f"Constrain one of {', '.join(sorted(names))}, or add it as an objective",
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the objectives, in order."""
        return tuple(objective.name for objective in self.objectives)

    @property
    def exact_columns(self) -> tuple[int, ...]:
        """Columns of the objectives that are known without evaluation."""
        return tuple(column for column, name in enumerate(self.names) if name in self.exact_metrics.names)

    @property
    def exact_constraints(self) -> tuple[Constraint, ...]:
        """The constraints that are decided without evaluation."""
        return tuple(
            constraint for constraint in self.constraints if constraint.name in self.exact_metrics.names
        )

    @property
    def evaluated_constraints(self) -> tuple[Constraint, ...]:
        """The constraints that are known only after the evaluation."""
        return tuple(
            constraint for constraint in self.constraints if constraint.name not in self.exact_metrics.names
        )

    def identity(self, architecture: Architecture) -> str:
        """Identity of the network an architecture gives."""
        return self.exact_metrics.identities([architecture])[0]

    def identities(self, architectures: Sequence[Architecture], /) -> list[str]:
        """Identities of the networks that n architectures give."""
        return self.exact_metrics.identities(architectures)

    def admissible(self, architectures: Sequence[Architecture], /) -> NDArray[np.bool_]:
        """(n,) bool: which keep to every constraint that is decided without evaluation."""
        exact = {c.name: self.exact_metrics.values(c.name, architectures) for c in self.exact_constraints}
        keeps = satisfied(self.exact_constraints, exact, len(architectures))
        if self.candidates is not None:
            keeps &= np.array([each in self._candidates for each in architectures], dtype=np.bool_)
        if self.excluded is not None and keeps.any():
            left = np.flatnonzero(keeps)
            keeps[left] = ~self.excluded([architectures[index] for index in left.tolist()])
        return keeps

    def exact_violation(self, architectures: Sequence[Architecture], /) -> NDArray[np.float64]:
        """(n, c) by how much each of the c exact constraints is broken; at most 0 where it is kept.

        Where something is ``excluded`` the last column is 1 for that, and 0 for the rest.
        """
        columns = [
            violation(c, self.exact_metrics.values(c.name, architectures)) for c in self.exact_constraints
        ]
        if self.excluded is not None:
            columns.append(self.excluded(architectures).astype(np.float64))
        return np.column_stack(columns) if columns else np.zeros((len(architectures), 0))

    def feasible(
        self, architectures: Sequence[Architecture], values: NDArray[np.float64], /
    ) -> NDArray[np.bool_]:
        """(n,) bool: which keep to every constraint, given their ``values`` (n, m) in natural units."""
        evaluated = {name: values[:, column] for column, name in enumerate(self.names)}
        keeps = satisfied(self.evaluated_constraints, evaluated, len(architectures))
        return np.asarray(keeps & self.admissible(architectures), dtype=np.bool_)

    def exact_values(self, architectures: Sequence[Architecture], /) -> NDArray[np.float64]:
        """(n, m) values in natural units, NaN in the columns that must be evaluated."""
        values = np.full((len(architectures), len(self.objectives)), np.nan)
        for column in self.exact_columns:
            values[:, column] = self.exact_metrics.values(self.names[column], architectures)
        return values

    def select_new(
        self, architectures: Iterable[Architecture], seen: Collection[str], n: int | None = None
    ) -> list[Architecture]:
        """The admissible networks among ``architectures`` that are not ``seen``, in order, each once.

        Parameters
        ----------
        architectures : iterable of Architecture
        seen : collection of str
            Identities that must not come again.
        n : int, optional
            Stop at this many.
        """
        offered = list(architectures)
        chosen: list[Architecture] = []
        taken: set[str] = set()
        named = zip(offered, self.identities(offered), self.admissible(offered).tolist(), strict=True)
        for architecture, identity, fits in named:
            if n is not None and len(chosen) >= n:
                break
            if fits and identity not in taken and identity not in seen:
                taken.add(identity)
                chosen.append(architecture)
        return chosen

    def nearest(
        self, architectures: Sequence[Architecture], seen: Collection[str], n: int | None = None
    ) -> list[Architecture]:
        """``architectures`` as they are, or where only candidates may be evaluated, the nearest of those.

        Each of the first ``n`` gives the nearest candidate that is new, admissible, and not given for one
        before it; near in the places of the choices, each variable's scaled to [0, 1].
        """
        if self.candidates is None or not architectures:
            return list(architectures)
        left = self.select_new(self.candidates, seen)
        spans = np.array([max(len(variable.choices) - 1, 1) for variable in self.space.variables])
        places = as_codes(left, self.space) / spans
        found = []
        for architecture in list(architectures)[: len(left) if n is None else min(n, len(left))]:
            distance = np.abs(places - np.array(architecture.indices) / spans).sum(axis=1)
            index = int(np.argmin(distance))
            found.append(left[index])
            places[index] = np.inf
        return found

    @cached_property
    def _candidates(self) -> frozenset[Architecture]:
        return frozenset(self.candidates or ())

    def draw_new(self, n: int, seen: Collection[str], rng: np.random.Generator) -> list[Architecture]:
        """Up to ``n`` random admissible networks that are not ``seen``; fewer where no more are found.

        Uniform over the admissible architectures of the space. A space of at most `ENUMERABLE` architectures
        is enumerated, so that nothing is missed; in a larger one `MAX_DRAWS` draws are made.
        """
        if n <= 0:
            return []
        if self.candidates is not None:
            order = rng.permutation(len(self.candidates)).tolist()
            return self.select_new([self.candidates[index] for index in order], seen, n)
        if self.space.size <= ENUMERABLE:
            return self.select_new(self.space.sample(self.space.size, rng), seen, n)
        chosen: list[Architecture] = []
        drawn, size = 0, 2 * n
        while len(chosen) < n and drawn < MAX_DRAWS:
            size = min(size, MAX_DRAWS - drawn)
            chosen = self.select_new([*chosen, *self.space.sample(size, rng)], seen, n)
            drawn += size
            size *= 2
        return chosen
