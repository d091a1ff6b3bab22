"""Checks on decision trees read from a file, before native code follows their links."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_TREES: Final = 20_000
"""Of a member; whoever fits more waits for hours."""

MAX_DEPTH: Final = 1000
"""Readers follow a tree by recursion: a deeper one would exhaust their stack."""


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
    cannot form a circle. Every node but the root is the child of one other.
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
    sound = bool(
        np.all(children > parents)
        and np.all(children < nodes)
        and len(np.unique(children)) == len(children) == nodes - 1
        and np.all((split_feature[at] >= 0) & (split_feature[at] < features))
    )
    return sound and _depth_is_sound(left, right)


def _depth_is_sound(left: NDArray[np.int64], right: NDArray[np.int64]) -> bool:
    level = np.zeros(1, dtype=np.int64)
    for _ in range(MAX_DEPTH):
        level = np.concatenate([left[level], right[level]])
        level = level[level >= 0]
        if not len(level):
            return True
    return False
