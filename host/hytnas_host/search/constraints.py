"""Hard constraints as text: ``params <= 300k``, ``latency <= 25 ms``, ``accuracy >= 80 %``.

A constraint on an exact metric (parameters, MACs, activations, counted from the layer plan) is decided
before anything is evaluated: an architecture that breaks it is never evaluated. A constraint on an evaluated
objective is known only after the evaluation: an architecture that breaks it is avoided as far as the
surrogate can tell, and never enters a front.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from hytnas_host.search.errors import ConstraintError
from hytnas_host.search.objectives import Quantity, find_quantity, known_names

Relation = Literal["<=", ">="]

_EXAMPLE: Final = "Write for example 'params <= 300k', 'latency <= 25 ms' or 'accuracy >= 80 %'"
_PATTERN: Final = re.compile(
    r"\s*(?P<name>[A-Za-z_]\w*)\s*(?P<relation>[<>=!]+)\s*"
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?P<unit>[A-Za-z%]*)\s*",
    re.ASCII,
)


class Constraint(msgspec.Struct, frozen=True):
    """``name relation bound``, the bound in the natural unit of what is named."""

    name: str
    relation: Relation
    bound: float

    def __str__(self) -> str:
        return f"{self.name} {self.relation} {self.bound:.12g}"


def parse_constraint(text: str) -> Constraint:
    """Read one constraint.

    Parameters
    ----------
    text : str
        ``<name> <= <number><unit>`` or with ``>=``. Counts take k, M or G; a target takes its units:
        ``latency`` us, ms or s and must have one of them; ``accuracy`` is a fraction or has ``%``.

    Raises
    ------
    ConstraintError
        Says what is wrong and shows examples.

    Examples
    --------
    >>> str(parse_constraint("params <= 300k"))
    'params <= 300000'
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ConstraintError(f"Cannot read the constraint {text!r}", _EXAMPLE)
    relation = match["relation"]
    if relation not in ("<=", ">="):
        raise ConstraintError(
            f"The constraint {text!r} uses {relation!r}; only '<=' and '>=' are known", _EXAMPLE
        )
    quantity = find_quantity(match["name"])
    if quantity is None:
        raise ConstraintError(
            f"The constraint {text!r} names {match['name']!r}, which is not known",
            f"Choose from {', '.join(known_names())}",
        )
    bound = _bound(text, quantity, float(match["number"]), match["unit"])
    return Constraint(quantity.name, cast(Relation, relation), bound)


def _bound(text: str, quantity: Quantity, number: float, unit: str) -> float:
    if unit not in quantity.units:
        units = ", ".join(known or "none" for known in quantity.units)
        raise ConstraintError(
            f"The constraint {text!r} has the unit {unit or 'none'!r}", f"Units of {quantity.name}: {units}"
        )
    bound = number * quantity.units[unit]
    if not math.isfinite(bound) or bound < 0:
        raise ConstraintError(
            f"The bound of the constraint {text!r} is not a finite number of at least 0", _EXAMPLE
        )
    if bound > quantity.maximum:
        raise ConstraintError(
            f"The constraint {text!r} bounds {quantity.name} by {bound:g}, beyond {quantity.maximum:g}",
            _EXAMPLE,
        )
    return bound


def violation(constraint: Constraint, values: NDArray[np.float64], /) -> NDArray[np.float64]:
    """By how much ``values`` (n,) break the constraint; at most 0 where they keep to it.

    Relative to the bound (absolute for a bound of 0), so that constraints of different units compare.
    """
    scale = abs(constraint.bound) or 1.0
    signed = values - constraint.bound if constraint.relation == "<=" else constraint.bound - values
    return np.asarray(signed / scale, dtype=np.float64)


def satisfied(
    constraints: Sequence[Constraint], values: Mapping[str, NDArray[np.float64]], n: int
) -> NDArray[np.bool_]:
    """(n,) bool: which of n architectures keep to every constraint, given the (n,) values of each name."""
    keeps = np.ones(n, dtype=np.bool_)
    for constraint in constraints:
        named = values[constraint.name]
        keeps &= named <= constraint.bound if constraint.relation == "<=" else named >= constraint.bound
    return keeps
