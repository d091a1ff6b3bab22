"""Where a search goes: the tenth of the labels at each edge."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SHARE: Final = 0.1
MIN_NETWORKS: Final = 4
"""Fewer networks at an edge have no order to speak of."""


def edge_rows(y: Floats, groups: NDArray[np.int64], *, lowest: bool) -> NDArray[np.bool_]:
    """(n,) whether each row is of the tenth of the networks with the lowest, or the highest, labels.

    Parameters
    ----------
    y : (n,) labels
    groups : (n,) int
        Network of each row, numbered from 0; rows of one network stay together, placed by their mean label.
    lowest : bool
    """
    counts = np.bincount(groups)
    means = np.bincount(groups, weights=y) / np.maximum(counts, 1)
    order = np.argsort(means if lowest else -means, kind="stable")
    return np.isin(groups, order[: max(MIN_NETWORKS, round(SHARE * len(counts)))])
