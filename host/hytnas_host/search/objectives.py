"""The axes a search can have, and the way between natural units and values that are all minimised.

An objective is a target that a predictor is fitted to, or a metric that the layer plan gives exactly. What is
known of it (unit, direction, other names) is said there: in `hytnas_datasets.targets` and `EXACT_METRICS`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.targets import TARGETS
from hytnas_host.search.errors import SearchError
from hytnas_host.search.exact_metrics import EXACT_METRICS
from hytnas_host.search.result import Objective

Direction = Literal["min", "max"]

_PATTERN: Final = re.compile(r"\s*(?:(?P<direction>\w+)\s*:)?\s*(?P<name>\w+)\s*")
_EXAMPLE: Final = "Write for example 'max:accuracy,min:latency_ms,min:params'"


@dataclass(frozen=True)
class Quantity:
    """What can be an objective or be constrained.

    Attributes
    ----------
    name : str
    unit : str
        Natural unit of its values.
    direction : "min" or "max"
        Which way is better.
    units : mapping of str to float
        Units in which people may give a bound, and how many natural units each is; "" is no unit.
    maximum : float
        No bound lies above it.
    source : str
        Where its values come from, as far as that is the same for every search.
    """

    name: str
    unit: str
    direction: Direction
    units: Mapping[str, float]
    maximum: float = np.inf
    source: str = ""


def known_names() -> tuple[str, ...]:
    """The names that `find_quantity` knows: targets, then exact metrics."""
    return (*TARGETS, *EXACT_METRICS)


def find_quantity(name: str) -> Quantity | None:
    """The target or exact metric of this name, or of this other name; ``None`` where there is none."""
    for target in TARGETS.values():
        if name in (target.name, *target.aliases):
            return Quantity(target.name, target.unit, target.direction, target.units, target.maximum)
    for metric in EXACT_METRICS.values():
        if name in (metric.name, *metric.aliases):
            return Quantity(metric.name, metric.unit, "min", metric.units, source="layer plan")
    return None


def get_objective(name: str, *, source: str | None = None, direction: Direction | None = None) -> Objective:
    """The objective of this name, with ``source`` saying where its values come from.

    Parameters
    ----------
    name : str
        A target or an exact metric.
    source : str, optional
        By default what is known of it without a search.
    direction : "min" or "max", optional
        By default the one in which it gets better.

    Raises
    ------
    SearchError
        For an unknown name.
    """
    known = find_quantity(name)
    if known is None:
        raise SearchError(f"There is no objective {name!r}", f"Choose from {', '.join(known_names())}")
    return Objective(
        known.name, known.unit, direction or known.direction, known.source if source is None else source
    )


def parse_objectives(text: str) -> tuple[Objective, ...]:
    """Objectives as people write them: names with commas between, each after ``min:`` or ``max:`` if wanted.

    Raises
    ------
    SearchError
        Says which part cannot be read, is not known, or comes twice.

    Examples
    --------
    >>> [(o.name, o.direction) for o in parse_objectives("accuracy, min:latency")]
    [('accuracy', 'max'), ('latency_ms', 'min')]
    """
    objectives = []
    for part in text.split(","):
        match = _PATTERN.fullmatch(part)
        if match is None or match["direction"] not in (None, "min", "max"):
            raise SearchError(f"Cannot read the objective {part.strip()!r}", _EXAMPLE)
        objectives.append(get_objective(match["name"], direction=cast(Direction | None, match["direction"])))
    check_objectives(objectives)
    return tuple(objectives)


def check_objectives(objectives: Sequence[Objective]) -> None:
    """Raise SearchError unless there is at least one objective and no name comes twice."""
    names = [objective.name for objective in objectives]
    if not names:
        raise SearchError("The search has no objective", "Give at least one, e.g. latency_ms")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SearchError(f"The search has an objective twice: {', '.join(repeated)}")


def signs(objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """(m,) float64: 1 where the objective is minimised, -1 where it is maximised."""
    return np.array([1.0 if objective.direction == "min" else -1.0 for objective in objectives])


def to_minimised(values: NDArray[np.float64], objectives: Sequence[Objective], /) -> NDArray[np.float64]:
    """Turn ``values`` (n, m) in natural units into values that are all minimised, by negating the others.

    The same call turns minimised values back into natural units.
    """
    return np.asarray(values, dtype=np.float64) * signs(objectives)
