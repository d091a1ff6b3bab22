"""The one way into every strategy: ``ask`` for architectures, ``tell`` their values."""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.spaces import Architecture
from hytnas_host.search import initial as designs
from hytnas_host.search.errors import SearchError
from hytnas_host.search.evaluators import checked
from hytnas_host.search.growing import GrowingArray
from hytnas_host.search.objectives import to_minimised
from hytnas_host.search.problem import SearchProblem


class StrategyState(msgspec.Struct, frozen=True):
    """All that a strategy holds besides what it was told, as JSON-able values.

    ``rng`` is the state of the random generator as JSON; ``designed`` says whether the initial design was
    drawn, ``design`` is what is left of it, and ``pending`` was asked for and not told yet. ``memory`` is
    what a strategy of its own kind keeps, see `Strategy.memory`.
    """

    rng: str
    designed: bool
    design: tuple[str, ...]
    pending: tuple[str, ...]
    memory: dict[str, Any] = {}


class Seen(AbstractSet[str]):
    """Identities of the networks that were told or are pending, as of now and without a copy."""

    def __init__(self, told: set[str], pending: dict[str, Architecture]) -> None:
        self._told, self._pending = told, pending

    def __contains__(self, identity: object) -> bool:
        return identity in self._told or identity in self._pending

    def __iter__(self) -> Iterator[str]:
        yield from self._told
        yield from self._pending

    def __len__(self) -> int:
        return len(self._told) + len(self._pending)


class Strategy(ABC):
    """Proposes networks to evaluate: admissible, never one twice, and the same ones for the same seed.

    Parameters
    ----------
    problem : SearchProblem
    rng : numpy.random.Generator
        Its bit generator must be a PCG64 (``numpy.random.default_rng``), whose state is checkpointed.
    initial : int
        Size of the initial design.
    design : str, optional
        Its name in `hytnas_host.search.initial.DESIGNS`; each strategy has its own default.
    """

    name: ClassVar[str]
    learns: ClassVar[bool] = False
    """Whether it fits a model before each batch, which takes longer than cheap evaluations do."""
    default_design: ClassVar[str] = "uniform"

    def __init__(
        self,
        problem: SearchProblem,
        rng: np.random.Generator,
        *,
        initial: int = 30,
        design: str | None = None,
    ) -> None:
        if initial < 1:
            raise SearchError(f"An initial design of {initial} architectures is too small", "Take at least 1")
        self.problem = problem
        self.rng = rng
        self.initial = initial
        self._draw_design = designs.DESIGNS.get(design or self.default_design)
        self._forget()
        self._designed = False
        self._design: list[Architecture] = []
        self._prepare()

    def _prepare(self) -> None:  # noqa: B027 (most strategies hold nothing)
        """Set up what a strategy of its own kind holds; raise SearchError for a problem beyond it."""

    def _forget(self) -> None:
        """Be as if nothing had been asked for or told."""
        m = len(self.problem.objectives)
        self.architectures: list[Architecture] = []
        self.pending: dict[str, Architecture] = {}
        self._told: set[str] = set()
        self._values = GrowingArray((m,), np.float64)
        self._minimised = GrowingArray((m,), np.float64)
        self._feasible = GrowingArray((), np.bool_)

    @property
    def seen(self) -> Seen:
        """Identities of the networks that were told or are pending."""
        return Seen(self._told, self.pending)

    @property
    def values(self) -> NDArray[np.float64]:
        """(k, m) values told so far, in natural units; to be read only, like the next two."""
        return self._values.rows

    @property
    def minimised(self) -> NDArray[np.float64]:
        """(k, m) values told so far, all minimised."""
        return self._minimised.rows

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """(k,) which of those told keep to every constraint."""
        return self._feasible.rows

    def ask(self, n: int) -> list[Architecture]:
        """Up to ``n`` new architectures to evaluate; fewer, or none, only where no more are found.

        They stay pending until told; asking again meanwhile gives others.
        """
        if n < 1:
            raise SearchError(f"Cannot ask for {n} architectures", "Ask for at least 1")
        if not self._designed:
            self._design = self._initial_design(self.initial)
            self._designed = True
        chosen = self._take(self._design, n)
        self._design = self._design[len(chosen) :] if len(chosen) == n else []
        if len(chosen) < n and len(self.architectures) > 1:
            missing = n - len(chosen)
            proposed = self._propose(missing, self.seen)
            chosen += self._take(self.problem.nearest(proposed, self.seen, missing), missing)
        if len(chosen) < n:
            chosen += self._take(self.problem.draw_new(n - len(chosen), self.seen, self.rng), n - len(chosen))
        return chosen

    def _take(self, offered: Sequence[Architecture], n: int) -> list[Architecture]:
        """The first ``n`` of those offered that are new and admissible; they are pending from now on."""
        chosen = self.problem.select_new(offered, self.seen, n)
        self.pending.update(zip(self.problem.identities(chosen), chosen, strict=True))
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
        identities = self.problem.identities(architectures)
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
        self._values.extend(array)
        self._minimised.extend(to_minimised(array, self.problem.objectives))
        self._feasible.extend(self.problem.feasible(architectures, array))

    def state(self) -> StrategyState:
        """What to keep, beside what was told, to go on bit-identically later."""
        form = self.problem.space.format_all
        return StrategyState(
            rng=json.dumps(self.rng.bit_generator.state),
            designed=self._designed,
            design=tuple(form(self._design)),
            pending=tuple(form(list(self.pending.values()))),
            memory=self.memory(),
        )

    def restore(
        self, state: StrategyState, architectures: Sequence[Architecture], values: NDArray[np.float64], /
    ) -> None:
        """Go back to ``state``, having been told ``values`` (k, m) of ``architectures`` in this order."""
        self._forget()
        if architectures:
            self.tell(architectures, values)
        parse = self.problem.space.parse
        self._designed = state.designed
        self._design = [parse(text) for text in state.design]
        waiting = [parse(text) for text in state.pending]
        self.pending.update(zip(self.problem.identities(waiting), waiting, strict=True))
        self.rng.bit_generator.state = json.loads(state.rng)
        self.recall(state.memory)

    def memory(self) -> dict[str, Any]:
        """What a strategy keeps between two asks beside what the base class keeps, as JSON-able values."""
        return {}

    def recall(self, memory: dict[str, Any]) -> None:
        """Take back what `memory` gave.

        Raises
        ------
        ValueError, TypeError, KeyError
            For anything else, such as what a damaged file holds.
        """
        if memory:
            raise ValueError(f"{self.name} has no memory")

    def _initial_design(self, n: int) -> list[Architecture]:
        """The architectures to begin with."""
        return self._draw_design(self.problem, n, self.seen, self.rng)

    @abstractmethod
    def _propose(self, n: int, seen: Collection[str]) -> list[Architecture]:
        """Candidates in order of preference, at least 2 values having been told.

        ``seen`` holds the identities that will be dropped; so will the networks that are not admissible and
        those that come twice. What is missing to ``n`` is filled up at random.
        """
