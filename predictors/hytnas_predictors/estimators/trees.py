"""Checks on decision trees read from a file, before native code follows their links."""

import numpy as np
from numpy.typing import NDArray


def links_are_sound(
    left: NDArray[np.int64], right: NDArray[np.int64], split_feature: NDArray[np.int64], features: int
) -> bool:
    """Whether links form one tree with every split on an existing feature.

    Parameters
    ----------
    left, right : (k,) int
        Children of each node; negative at a leaf, and then both are.
    split_feature : (k,) int
        Feature that each inner node splits on.
    features : int
        Number of features there are.

    Notes
    -----
    Libraries number a child after its parent, so a child that comes first is refused: without it, links
    cannot form a circle.
    """
    nodes = len(left)
    if nodes == 0:
        return False
    inner = left >= 0
    if not np.array_equal(inner, right >= 0):
        return False
    at = np.flatnonzero(inner)
    children = np.concatenate([left[at], right[at]])
    parents = np.concatenate([at, at])
    return bool(
        np.all(children > parents)
        and np.all(children < nodes)
        and len(np.unique(children)) == len(children)
        and np.all((split_feature[at] >= 0) & (split_feature[at] < features))
    )
