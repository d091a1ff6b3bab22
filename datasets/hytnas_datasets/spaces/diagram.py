"""A space as a layered decision diagram: exact counting, ranking and unranking under constraints.

Layer ``i`` branches on variable ``i``. Two partial architectures share a node when every continuation of one
is a continuation of the other (same active parents, same constraint states), so the diagram stays small where
the space is astronomically large. The number of paths to the end counts the architectures below each node;
walking down by those counts turns a uniform integer into a uniform architecture.

References
----------
.. [1] D. E. Knuth, The Art of Computer Programming, vol. 4A, section 7.1.4 (counting and uniform generation
   by binary decision diagrams).
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces.constraints import Constraint
from hytnas_datasets.spaces.variables import INACTIVE, Choice, Variable

Ranks = NDArray[Any]
"""(n,) int64, or objects (Python integers) where the space is too large for int64."""

INT64_SIZE: Final = 2**62
MAX_BRANCHES: Final = 300_000


@dataclass(frozen=True)
class _Layer:
    """One variable's branches from every node of its layer.

    Attributes
    ----------
    following : (nodes + 1, choices + 1) int64
        Node of the next layer for each choice and, in the last column, for "does not exist"; -1 where no
        architecture follows. The last row is the sink that -1 indexes.
    below : (nodes + 1, choices + 2) int64 or object
        Architectures below the columns to the left: exclusive cumulative counts, then the total.
    """

    following: NDArray[np.int64]
    below: NDArray[Any]

    def slots(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Column of each code: INACTIVE takes the last one."""
        return np.where(codes == INACTIVE, self.following.shape[1] - 1, codes)


@dataclass(frozen=True)
class Diagram:
    """The compiled form of a space's variables and constraints.

    Attributes
    ----------
    layers : tuple of v layers
    size : int
        Number of architectures, exact; 0 for constraints that cannot be met.
    """

    layers: tuple[_Layer, ...]
    size: int

    def rank(self, codes: NDArray[np.int64]) -> tuple[Ranks, NDArray[np.bool_]]:
        """Position of each architecture in lexicographic order, and which codes are architectures at all.

        Parameters
        ----------
        codes : (n, v) int64

        Returns
        -------
        ranks : (n,) int64 or object, meaningless where not valid
        valid : (n,) bool
        """
        node = np.zeros(len(codes), dtype=np.int64)
        ranks: Ranks = np.zeros(len(codes), dtype=self._dtype)
        for layer, column in zip(self.layers, codes.T, strict=True):
            in_range = (column >= INACTIVE) & (column < layer.following.shape[1] - 1)
            slot = layer.slots(np.where(in_range, column, 0))
            ranks = ranks + layer.below[node, slot]
            node = np.where(in_range, layer.following[node, slot], -1)
        return ranks, node >= 0

    def unrank(self, ranks: Ranks) -> NDArray[np.int64]:
        """(n, v) codes of the architectures at these ranks, each in [0, size)."""
        node = np.zeros(len(ranks), dtype=np.int64)
        rest: Ranks = ranks.astype(self._dtype)
        codes = np.empty((len(ranks), len(self.layers)), dtype=np.int64)
        for i, layer in enumerate(self.layers):
            slot = np.zeros(len(ranks), dtype=np.int64)
            for column in range(1, layer.following.shape[1]):
                slot += (rest >= layer.below[node, column]).astype(np.int64)
            rest = rest - layer.below[node, slot]
            codes[:, i] = np.where(slot == layer.following.shape[1] - 1, INACTIVE, slot)
            node = layer.following[node, slot]
        return codes

    def completions(self, allowed: Sequence[Sequence[int]]) -> Iterator[tuple[int, ...]]:
        """Every architecture whose code of variable ``i`` is in ``allowed[i]``.

        INACTIVE need not be listed: where a variable cannot exist, that is its code.
        """
        yield from self._completions(allowed, 0, 0, ())

    def _completions(
        self, allowed: Sequence[Sequence[int]], i: int, node: int, head: tuple[int, ...]
    ) -> Iterator[tuple[int, ...]]:
        if i == len(self.layers):
            yield head
            return
        following = self.layers[i].following[node]
        codes = (INACTIVE,) if following[-1] >= 0 else allowed[i]
        for code in codes:
            if following[code] >= 0:
                yield from self._completions(allowed, i + 1, int(following[code]), (*head, code))

    @property
    def _dtype(self) -> type:
        return np.int64 if self.size <= INT64_SIZE else object


class _Reader:
    """The state of a partial architecture: parents still asked for, and constraints not yet settled."""

    def __init__(self, variables: Sequence[Variable], constraints: Sequence[Constraint]) -> None:
        position = {variable.name: i for i, variable in enumerate(variables)}
        self.variables = variables
        self.constraints = constraints
        self.last_of = [max(position[name] for name in constraint.names) for constraint in constraints]
        self.takes_part = [
            [c for c, constraint in enumerate(constraints) if variable.name in constraint.names]
            for variable in variables
        ]
        self.last_child: dict[str, int] = {}
        for i, variable in enumerate(variables):
            if variable.when:
                self.last_child[variable.when.variable] = i

    def start(self) -> Hashable:
        return ((), tuple(constraint.start() for constraint in self.constraints))

    def slots(self, i: int, state: Hashable) -> list[int]:
        """The columns open to variable ``i``: all its choices, or only "does not exist"."""
        variable = self.variables[i]
        choices = len(variable.choices)
        if variable.when is None:
            return list(range(choices))
        assert isinstance(state, tuple)
        parents: Mapping[str, Choice | None] = dict(state[0])
        value = parents[variable.when.variable]
        return list(range(choices)) if value is not None and value in variable.when.values else [choices]

    def step(self, i: int, state: Hashable, slot: int) -> Hashable | None:
        """The state after variable ``i`` took column ``slot``, or None if no architecture follows."""
        assert isinstance(state, tuple)
        variable = self.variables[i]
        value = variable.choices[slot] if slot < len(variable.choices) else None
        parents = tuple(item for item in state[0] if self.last_child[item[0]] > i)
        if self.last_child.get(variable.name, i) > i:
            parents = (*parents, (variable.name, value))
        states = list(state[1])
        for c in self.takes_part[i]:
            after = self.constraints[c].step(states[c], variable.name, value)
            settled = self.last_of[c] == i
            if after is None or (settled and not self.constraints[c].accepts(after)):
                return None
            states[c] = () if settled else after
        return (parents, tuple(states))


def compile_diagram(variables: Sequence[Variable], constraints: Sequence[Constraint]) -> Diagram:
    """Compile a space. Time and memory grow with the branches, not with the architectures.

    Raises
    ------
    SpaceError
        Where the constraints tie so many variables together that it takes more than `MAX_BRANCHES` branches.
    """
    reader = _Reader(variables, constraints)
    states: list[Hashable] = [reader.start()]
    tables: list[NDArray[np.int64]] = []
    branches = 0
    for i, variable in enumerate(variables):
        branches += len(states) * len(variable.choices)
        if branches > MAX_BRANCHES:
            raise SpaceError(
                f"The constraints tie too many variables together to count exactly (at {variable.name!r})",
                "List the variables of a constraint next to each other, or use fewer",
            )
        following = np.full((len(states) + 1, len(variable.choices) + 1), -1, dtype=np.int64)
        known: dict[Hashable, int] = {}
        for node, state in enumerate(states):
            for slot in reader.slots(i, state):
                after = reader.step(i, state, slot)
                if after is not None:
                    following[node, slot] = known.setdefault(after, len(known))
        tables.append(following)
        states = list(known)
    return _count(tables, len(states))


def _count(tables: list[NDArray[np.int64]], ends: int) -> Diagram:
    """Count the paths below every node, from the last layer up, and cut branches that lead nowhere."""
    counts = np.array([1] * ends + [0], dtype=object)
    reversed_layers = []
    for following in reversed(tables):
        below = np.zeros((following.shape[0], following.shape[1] + 1), dtype=object)
        below[:, 1:] = np.cumsum(counts[following], axis=1)
        alive = np.where(counts[following] > 0, following, -1)
        reversed_layers.append((alive, below))
        counts = below[:, -1]
    size = int(counts[0])
    dtype = np.int64 if size <= INT64_SIZE else object
    layers = [_Layer(following, below.astype(dtype)) for following, below in reversed(reversed_layers)]
    return Diagram(tuple(layers), size)
