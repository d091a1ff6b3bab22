"""The baseline ``table``: the sum over a network's layers of what each one took in profiled networks.

Nothing is learned but times: for layers of one kind and shape the mean over the profiled networks, as in the
look-up tables of ProxylessNAS [C19]_ and, by fused kernels, of nn-Meter [Z21]_.

- *Whose time an operator's is.* That of the layer whose name it bears (`layers_of`). A fused operator has the
  name of the first of its layers: that one bears the time of all, and the others take none. So entries hold
  for networks that the runtime fuses alike, as one exporter's are.
- *A shape that no profile has* takes the time per multiply-accumulate of the entry of its kind that is
  nearest in size; layers without any, the time per element written. A kind that no profile has is free.

References
----------
.. [C19] Cai, Zhu and Han, "ProxylessNAS: direct neural architecture search on target task and hardware",
   ICLR 2019.
.. [Z21] Zhang et al., "nn-Meter: towards accurate latency prediction of deep-learning model inference on
   diverse edge devices", MobiSys 2021.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from hytnas_agent.pass_records import OperatorProfile
from hytnas_datasets.plan import LayerPlan
from hytnas_datasets.plan.layers import Layer, count_layer, size
from hytnas_datasets.plan.profile import layers_of

Floats = NDArray[np.float64]


class ProfiledLayers:
    """Which layers n networks have, and what they took in those that were profiled.

    Parameters
    ----------
    plans : sequence of n LayerPlan
    profiles : sequence of n OperatorProfile or None

    Attributes
    ----------
    profiled : (n,) bool
    """

    def __init__(self, plans: Sequence[LayerPlan], profiles: Sequence[OperatorProfile | None]) -> None:
        numbers: dict[Hashable, int] = {}
        entries: list[Layer] = []
        rows: list[list[int]] = []
        for plan in plans:
            rows.append([])
            for layer in plan.layers:
                number = numbers.setdefault(_signature(layer), len(entries))
                if number == len(entries):
                    entries.append(layer)
                rows[-1].append(number)
        self.profiled = np.array([profile is not None for profile in profiles])
        self._counts = np.stack([np.bincount(row, minlength=len(entries)) for row in rows]).astype(np.float64)
        self._times = np.zeros_like(self._counts)
        for network, (plan, profile) in enumerate(zip(plans, profiles, strict=True)):
            if profile is not None:
                for operator, host in zip(profile.operators, layers_of(profile, plan), strict=True):
                    if host is not None:
                        self._times[network, rows[network][host.index]] += operator.time_us
        self._kinds = np.unique([_kind(layer) for layer in entries], return_inverse=True)[1]
        self._sizes = np.array([_size(layer) for layer in entries], dtype=np.float64)

    def estimate_us(self, fitted: NDArray[np.bool_]) -> Floats:
        """(n,) microseconds of each network, by a table of the profiles of these (n,) networks alone."""
        return np.asarray(self._counts @ self._table(fitted & self.profiled))

    def _table(self, rows: NDArray[np.bool_]) -> Floats:
        """Microseconds of each different layer."""
        seen = self._counts[rows].sum(axis=0)
        known = seen > 0
        table = np.zeros(len(seen))
        table[known] = self._times[rows].sum(axis=0)[known] / seen[known]
        for kind in np.unique(self._kinds[~known]):
            given = np.flatnonzero(known & (self._kinds == kind))
            wanted = np.flatnonzero(~known & (self._kinds == kind))
            if len(given):
                distance = np.abs(np.log(self._sizes[wanted][:, None] / self._sizes[given][None, :]))
                nearest = given[distance.argmin(axis=1)]
                table[wanted] = table[nearest] * self._sizes[wanted] / self._sizes[nearest]
        return table


def _signature(layer: Layer) -> Hashable:
    """What layers of one entry have in common; the role says what a runtime can fuse to it."""
    return (layer.kind, layer.role, layer.attributes, layer.input_shapes, layer.shape)


def _kind(layer: Layer) -> str:
    if layer.kind != "conv":
        return layer.kind
    depthwise = "depthwise" if layer.integer("groups") > 1 else "full"
    return f"conv {depthwise} {layer.integer('kernel')}"


def _size(layer: Layer) -> int:
    return count_layer(layer).macs or size(layer.shape)
