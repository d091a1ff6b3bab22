"""What is known of an architecture without evaluating it: which network it is, and its exact counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.families import has_networks
from hytnas_datasets.plan import NetworkSummary, PlanSummaries, Task
from hytnas_datasets.spaces import Architecture, Space, get_space
from hytnas_host.search.errors import SearchError
from hytnas_host.search.recall import Recall

COUNTS: Final[Mapping[str, float]] = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True)
class ExactMetric:
    """A count of the layer plan, to be minimised.

    Attributes
    ----------
    name : str
        The attribute of a plan's `Counts` that holds it.
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

    def identities(self, architectures: Sequence[Architecture], /) -> list[str]:
        """A text for each of n architectures, equal for two exactly where they give the same network."""
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
        self._summaries: dict[str, PlanSummaries] = {}
        self._counted = Recall(self._count)

    @property
    def names(self) -> tuple[str, ...]:
        """``params``, ``macs`` and ``activations``."""
        return self._NAMES

    def identities(self, architectures: Sequence[Architecture], /) -> list[str]:
        """The hashes of the plans."""
        return [counted.hash for counted in self._counted(architectures)]

    def values(self, name: str, architectures: Sequence[Architecture], /) -> NDArray[np.float64]:
        """(n,) counts; raises SearchError for a name that is not in ``names``."""
        if name not in self._NAMES:
            raise SearchError(f"A layer plan does not give {name!r}", f"It gives {', '.join(self._NAMES)}")
        counts = [getattr(each.counts, name) for each in self._counted(architectures)]
        return np.array(counts, dtype=np.float64)

    def _count(self, architectures: list[Architecture]) -> list[NetworkSummary]:
        name = architectures[0].space
        if name not in self._summaries:
            self._summaries[name] = PlanSummaries(get_space(name), self._task)
        return self._summaries[name](architectures)


class NoMetrics:
    """Nothing is known of architectures without networks; the id of each is its identity.

    Parameters
    ----------
    space : Space
    """

    names: tuple[str, ...] = ()

    def __init__(self, space: Space) -> None:
        self._space = space

    def identities(self, architectures: Sequence[Architecture], /) -> list[str]:
        """The ids of the architectures."""
        return self._space.format_all(architectures)

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
