"""Constraints between variables as data: forbidden combinations, bounded sums and products, orderings.

Each constraint reads its variables one by one and keeps a small state: all that its verdict depends on. That
makes a space countable exactly without enumerating it (`hytnas_datasets.spaces.diagram`).
A variable that does not exist in an architecture matches no forbidden combination, adds nothing to a sum,
multiplies a product by one, and is passed over by an ordering.
"""

import operator
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Final, Literal

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces.variables import Choice, Variable, check_choice

Relation = Literal["<", "<=", ">", ">="]

_RELATIONS: Final[Mapping[str, Callable[[Fraction, Fraction], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def exact(value: Choice) -> Fraction:
    """The number as it is written in decimal, so that 0.1 + 0.2 equals 0.3."""
    return Fraction(str(value))


def _check_names(names: tuple[str, ...], what: str) -> None:
    if not names:
        raise SpaceError(f"A constraint of kind {what} names no variable")
    if len(set(names)) < len(names):
        raise SpaceError(f"A constraint of kind {what} names a variable twice: {', '.join(names)}")


def _check_numeric(names: tuple[str, ...], variables: Mapping[str, Variable], what: str) -> None:
    for name in names:
        if any(isinstance(choice, str) for choice in variables[name].choices):
            raise SpaceError(f"A constraint of kind {what} names {name!r}, whose choices are not all numbers")


@dataclass(frozen=True)
class Forbidden:
    """No architecture has, at once, one of the listed values in every listed variable.

    Attributes
    ----------
    values : tuple of (variable name, tuple of values)
    """

    values: tuple[tuple[str, tuple[Choice, ...]], ...]

    def __post_init__(self) -> None:
        _check_names(self.names, "forbidden")

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that take part."""
        return tuple(name for name, _ in self.values)

    def check(self, variables: Mapping[str, Variable]) -> None:
        """Raise SpaceError unless every value is a choice of its variable."""
        for name, values in self.values:
            if not values:
                raise SpaceError(f"A forbidden combination lists no value for {name!r}")
            for value in values:
                variables[name].index(value)

    def start(self) -> Hashable:
        """State before any variable: everything so far matches."""
        return True

    def step(self, state: Hashable, name: str, value: Choice | None) -> Hashable:
        """State after one more variable; ``value`` is None where it does not exist."""
        return bool(state) and value is not None and value in dict(self.values)[name]

    def accepts(self, state: Hashable) -> bool:
        """Whether the architecture keeps to the constraint, once every variable was read."""
        return not state

    def __str__(self) -> str:
        parts = (f"{name} in {{{', '.join(map(str, values))}}}" for name, values in self.values)
        return f"forbidden: {' and '.join(parts)}"


@dataclass(frozen=True)
class Bounded:
    """The sum or the product of the variables lies within inclusive bounds.

    Attributes
    ----------
    kind : "sum" or "product"
    variables : tuple of str
        Numeric variables.
    at_least, at_most : int or float, optional
        At least one of the two.
    """

    kind: Literal["sum", "product"]
    variables: tuple[str, ...]
    at_least: int | float | None = None
    at_most: int | float | None = None

    def __post_init__(self) -> None:
        _check_names(self.names, self.kind)
        if self.at_least is None and self.at_most is None:
            raise SpaceError(f"A constraint of kind {self.kind} has no bound", "Give at_least or at_most")
        for bound in (self.at_least, self.at_most):
            if bound is not None:
                check_choice(bound, f"Bound of a constraint of kind {self.kind}")

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that take part."""
        return self.variables

    def check(self, variables: Mapping[str, Variable]) -> None:
        """Raise SpaceError unless every variable is numeric."""
        _check_numeric(self.variables, variables, self.kind)

    def start(self) -> Hashable:
        """State before any variable: the empty sum or product."""
        return Fraction(self.kind == "product")

    def step(self, state: Hashable, name: str, value: Choice | None) -> Hashable:
        """State after one more variable; ``value`` is None where it does not exist."""
        assert name in self.variables
        assert isinstance(state, Fraction)
        if value is None:
            return state
        return state * exact(value) if self.kind == "product" else state + exact(value)

    def accepts(self, state: Hashable) -> bool:
        """Whether the architecture keeps to the constraint, once every variable was read."""
        assert isinstance(state, Fraction)
        above = self.at_least is None or state >= exact(self.at_least)
        return above and (self.at_most is None or state <= exact(self.at_most))

    def __str__(self) -> str:
        low = "" if self.at_least is None else f"{self.at_least} <= "
        high = "" if self.at_most is None else f" <= {self.at_most}"
        return f"{low}{self.kind} of {', '.join(self.variables)}{high}"


@dataclass(frozen=True)
class Ordering:
    """Each variable stands in ``relation`` to the next one listed, e.g. never fewer channels deeper down.

    Attributes
    ----------
    variables : tuple of str
        At least two numeric variables. Their order here need not be the order of the space.
    relation : "<", "<=", ">" or ">="
    """

    variables: tuple[str, ...]
    relation: Relation = "<="

    def __post_init__(self) -> None:
        _check_names(self.names, "ordering")
        if len(self.variables) < 2:
            raise SpaceError("A constraint of kind ordering names one variable", "Name at least two")
        if self.relation not in _RELATIONS:
            raise SpaceError(f"{self.relation!r} is not a relation", f"Use one of {', '.join(_RELATIONS)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that take part."""
        return self.variables

    def check(self, variables: Mapping[str, Variable]) -> None:
        """Raise SpaceError unless every variable is numeric."""
        _check_numeric(self.variables, variables, "ordering")

    def start(self) -> Hashable:
        """State before any variable: which positions were read, and the values that still matter."""
        return (frozenset[int](), ())

    def step(self, state: Hashable, name: str, value: Choice | None) -> Hashable | None:
        """State after one more variable, or None once the order is broken for good."""
        assert isinstance(state, tuple)
        read, values = state
        position = self.variables.index(name)
        read = read | {position}
        if value is not None:
            values = tuple(sorted((*values, (position, exact(value)))))
        holds = _RELATIONS[self.relation]
        if not all(holds(left, right) for (_, left), (_, right) in pairwise(values)):
            return None
        prefix = next(i for i in range(len(read) + 1) if i not in read)
        settled = sum(position < prefix for position, _ in values)
        return (read, values[max(settled - 1, 0) :])

    def accepts(self, state: Hashable) -> bool:  # noqa: ARG002
        """Whether the architecture keeps to the constraint: `step` has refused those that do not."""
        return True

    def __str__(self) -> str:
        return f" {self.relation} ".join(self.variables)


Constraint = Forbidden | Bounded | Ordering
