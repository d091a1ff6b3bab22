"""What is known of an architecture without evaluating it: which network it is, and its exact counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.families import has_networks
from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import Architecture, Space
from hytnas_host.search.errors import SearchError

COUNTS: Final[Mapping[str, float]] = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True)
class ExactMetric:
    """A count of the layer plan, to be minimised.

    Attributes
    ----------
    name : str
        The attribute of a `LayerPlan` that holds it.
    unit : str
    aliases : tuple of str
        Other names in objectives and constraints.
    units : mapping of str to float
        What may follow a bound, and how many of it each is.
    """

    name: str
    unit: str
    aliases: tuple[str, ...] = ()
    units: Mapping[str, float] = field(default_factory=lambda: COUNTS)


EXACT_METRICS: Final[dict[str, ExactMetric]] = {
    metric.name: metric
    for metric in (
        ExactMetric("params", "parameters", ("parameters",)),
        ExactMetric("macs", "MACs"),
        ExactMetric("activations", "elements"),
    )
}
"""What a layer plan says exactly, by name."""


class ExactMetrics(Protocol):
    """Identity and exact metrics of architectures, cheap to have."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the exact metrics."""
        ...

    def identity(self, architecture: Architecture) -> str:
        """The same text for two architectures exactly where they give the same network."""
        ...

    def values(self, name: str, architectures: Sequence[Architecture], /) -> NDArray[np.float64]:
        """(n,) exact values of one metric, natural unit."""
        ...


class PlanMetrics:
    """Counted from the layer plan for one task: parameters, MACs and activations; its hash is the identity.

    Parameters
    ----------
    task : Task
        Resolution, channels and classes; MACs and activations depend on them.
    """

    _NAMES = tuple(EXACT_METRICS)

    def __init__(self, task: Task) -> None:
        self._task = task
        self._known: dict[Architecture, tuple[str, tuple[int, ...]]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """``params``, ``macs`` and ``activations``."""
        return self._NAMES

    def identity(self, architecture: Architecture) -> str:
        """The plan's hash."""
        return self._of(architecture)[0]

    def values(self, name: str, architectures: Sequence[Architecture], /) -> NDArray[np.float64]:
        """(n,) counts; raises SearchError for a name that is not in ``names``."""
        if name not in self._NAMES:
            raise SearchError(f"A layer plan does not give {name!r}", f"It gives {', '.join(self._NAMES)}")
        column = self._NAMES.index(name)
        return np.array(
            [self._of(architecture)[1][column] for architecture in architectures], dtype=np.float64
        )

    def _of(self, architecture: Architecture) -> tuple[str, tuple[int, ...]]:
        known = self._known.get(architecture)
        if known is None:
            plan = build_plan(architecture, self._task)
            known = (plan.hash, tuple(int(getattr(plan, name)) for name in self._NAMES))
            self._known[architecture] = known
        return known


class NoMetrics:
    """Nothing is known of architectures without networks; the id of each is its identity.

    Parameters
    ----------
    space : Space
    """

    names: tuple[str, ...] = ()

    def __init__(self, space: Space) -> None:
        self._space = space

    def identity(self, architecture: Architecture) -> str:
        """The architecture's id."""
        return self._space.format(architecture)

    def values(self, name: str, architectures: Sequence[Architecture], /) -> NDArray[np.float64]:
        """There are none: raises SearchError."""
        del architectures
        raise SearchError(f"The space {self._space.name} has no networks, so no {name!r} is counted")


def exact_metrics_of(space: Space, task: Task) -> ExactMetrics:
    """What is known of a space's architectures without evaluation: counts, where they are networks.

    Examples
    --------
    >>> from hytnas_datasets.spaces import get_space
    >>> "params" in exact_metrics_of(get_space("hyt"), Task()).names
    True
    """
    return PlanMetrics(task) if has_networks(space) else NoMetrics(space)
