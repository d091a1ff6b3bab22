"""The axes a search can have, and the way between natural units and values that are all minimised."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hytnas_host.search.errors import SearchError
from hytnas_host.search.result import Objective

KNOWN: Final[Mapping[str, Objective]] = {
    "latency_ms": Objective("latency_ms", "ms", "min"),
    "accuracy": Objective("accuracy", "fraction", "max"),
    "params": Objective("params", "parameters", "min", "layer plan"),
    "macs": Objective("macs", "MACs", "min", "layer plan"),
    "activations": Objective("activations", "elements", "min", "layer plan"),
}
"""The objectives the toolkit can compute or predict, by name."""


def get_objective(name: str, *, source: str | None = None) -> Objective:
    """The known objective of this name, with ``source`` saying where its values come from.

    Raises
    ------
    SearchError
        For an unknown name.
    """
    if name not in KNOWN:
        raise SearchError(f"There is no objective {name!r}", f"Choose from {', '.join(KNOWN)}")
    known = KNOWN[name]
    return Objective(known.name, known.unit, known.direction, known.source if source is None else source)


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
