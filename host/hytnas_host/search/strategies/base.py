"""The one way into every strategy: ``ask`` for architectures, ``tell`` their values."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.spaces import Architecture
from hytnas_host.search import initial as designs
from hytnas_host.search.errors import SearchError
from hytnas_host.search.evaluators import checked
from hytnas_host.search.objectives import to_minimised
from hytnas_host.search.problem import SearchProblem


class StrategyState(msgspec.Struct, frozen=True):
    """All that a strategy holds besides what it was told, as JSON-able values.

    ``rng`` is the state of the random generator as JSON; ``designed`` says whether the initial design was
    drawn, ``design`` is what is left of it, and ``pending`` was asked for and not told yet.
    """

    rng: str
    designed: bool
    design: tuple[str, ...]
    pending: tuple[str, ...]


class Strategy(ABC):
    """Proposes networks to evaluate: admissible, never one twice, and the same ones for the same seed.

    Parameters
    ----------
    problem : SearchProblem
    rng : numpy.random.Generator
        Its bit generator must be a PCG64 (``numpy.random.default_rng``), whose state is checkpointed.
    initial : int
        Size of the initial design.
    """

    name: ClassVar[str]

    def __init__(self, problem: SearchProblem, rng: np.random.Generator, *, initial: int = 30) -> None:
        if initial < 1:
            raise SearchError(f"An initial design of {initial} architectures is too small", "Take at least 1")
        self.problem = problem
        self.rng = rng
        self.initial = initial
        self.architectures: list[Architecture] = []
        self.values: NDArray[np.float64] = np.zeros((0, len(problem.objectives)))
        self.pending: dict[str, Architecture] = {}
        self._told: set[str] = set()
        self._designed = False
        self._design: list[Architecture] = []

    @property
    def seen(self) -> set[str]:
        """Identities of the networks that were told or are pending."""
        return self._told | set(self.pending)

    @property
    def minimised(self) -> NDArray[np.float64]:
        """(k, m) values told so far, all minimised."""
        return to_minimised(self.values, self.problem.objectives)

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """(k,) which of those told keep to every constraint."""
        return self.problem.feasible(self.architectures, self.values)

    def ask(self, n: int) -> list[Architecture]:
        """Up to ``n`` new architectures to evaluate; fewer, or none, only where no more are found.

        They stay pending until told; asking again meanwhile gives others.
        """
        if n < 1:
            raise SearchError(f"Cannot ask for {n} architectures", "Ask for at least 1")
        if not self._designed:
            self._design = self._initial_design(self.initial)
            self._designed = True
        chosen = self.problem.select_new(self._design, self.seen, n)
        self._design = self._design[len(chosen) :]
        if len(chosen) < n:
            self._design = []
            taken = self.seen | {self.problem.identity(architecture) for architecture in chosen}
            if len(self.architectures) > 1:
                proposed = self._propose(n - len(chosen), taken)
                chosen += self.problem.select_new(proposed, taken, n - len(chosen))
                taken |= {self.problem.identity(architecture) for architecture in chosen}
            chosen += self.problem.draw_new(n - len(chosen), taken, self.rng)
        self.pending |= {self.problem.identity(architecture): architecture for architecture in chosen}
        return chosen

    def tell(self, architectures: Sequence[Architecture], values: NDArray[np.float64], /) -> None:
        """Take in the values of architectures, asked for or known from elsewhere.

        Parameters
        ----------
        architectures : sequence of n Architecture
        values : (n, m) float64
            Natural units, in the order of the objectives.

        Raises
        ------
        EvaluationError
            For values of another shape or that are not finite; nothing is taken in then.
        SearchError
            For a network that was told already, or one that breaks a constraint decided without evaluation.
        """
        array = checked(values, architectures, self.problem.space, len(self.problem.objectives))
        fits = self.problem.admissible(architectures)
        identities = [self.problem.identity(architecture) for architecture in architectures]
        new: set[str] = set()
        for architecture, identity, fit in zip(architectures, identities, fits, strict=True):
            if identity in self._told or identity in new:
                raise SearchError(
                    f"{self.problem.space.format(architecture)} gives a network that was told already"
                )
            new.add(identity)
            if not fit:
                raise SearchError(
                    f"{self.problem.space.format(architecture)} breaks a constraint of the search"
                )
        self._told |= new
        for identity in identities:
            self.pending.pop(identity, None)
        self.architectures.extend(architectures)
        self.values = np.vstack([self.values, array])

    def state(self) -> StrategyState:
        """What to keep, beside what was told, to go on bit-identically later."""
        form = self.problem.space.format
        return StrategyState(
            rng=json.dumps(self.rng.bit_generator.state),
            designed=self._designed,
            design=tuple(form(architecture) for architecture in self._design),
            pending=tuple(form(architecture) for architecture in self.pending.values()),
        )

    def restore(
        self, state: StrategyState, architectures: Sequence[Architecture], values: NDArray[np.float64], /
    ) -> None:
        """Go back to ``state``, having been told ``values`` (k, m) of ``architectures`` in this order."""
        self.architectures, self._told, self.pending = [], set(), {}
        self.values = np.zeros((0, len(self.problem.objectives)))
        if architectures:
            self.tell(architectures, values)
        parse = self.problem.space.parse
        self._designed = state.designed
        self._design = [parse(text) for text in state.design]
        waiting = [parse(text) for text in state.pending]
        self.pending = {self.problem.identity(architecture): architecture for architecture in waiting}
        self.rng.bit_generator.state = json.loads(state.rng)

    def _initial_design(self, n: int) -> list[Architecture]:
        """The architectures to begin with; uniform unless a strategy says otherwise."""
        return designs.uniform(self.problem, n, self.seen, self.rng)

    @abstractmethod
    def _propose(self, n: int, seen: set[str]) -> list[Architecture]:
        """Candidates in order of preference, at least 2 values having been told.

        ``seen`` holds the identities that will be dropped; so will the networks that are not admissible and
        those that come twice. What is missing to ``n`` is filled up at random.
        """
