"""The paper's three picks from a front: best latency (BL), best accuracy (BA), optimal trade-off (O).

The optimal trade-off is the knee: the point that bulges furthest towards the ideal from the line through the
two ends of the latency-accuracy front, after both axes are scaled to [0, 1] between those ends.

References
----------
[Das1999] I. Das, "On characterizing the 'knee' of the Pareto curve based on Normal-Boundary Intersection",
    Structural Optimization 18, 1999: the point of the front furthest from the hyperplane through its ends.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.targets import ACCURACY, LATENCY
from hytnas_host.search.objectives import to_minimised
from hytnas_host.search.pareto import non_dominated
from hytnas_host.search.result import Evaluated, Objective, Pick


def knee(points: NDArray[np.float64], /) -> int:
    """Index of the knee of ``points`` (n, 2), both columns minimised. [Das1999]_

    Only rows that no other row dominates can be the knee. Between two ends the middle row furthest on the
    ideal side of their line wins, or, where none lies on that side, the one nearest to the line. With no
    middle row the end nearest to the ideal point wins, the first of equals.

    Raises
    ------
    ValueError
        For no points.
    """
    if len(points) == 0:
        raise ValueError("a knee needs at least one point")
    front = np.flatnonzero(non_dominated(points))
    front = front[np.lexsort((points[front, 1], points[front, 0]))]
    ends = points[front[[0, -1]]]
    extent = np.ptp(ends, axis=0)
    if np.any(extent == 0):
        return int(front[0])
    scaled = (points[front] - ends.min(axis=0)) / extent
    middle = np.flatnonzero((scaled > 0).all(axis=1))
    if middle.size == 0:
        return int(front[0])
    bulge = 1.0 - scaled[middle].sum(axis=1)
    return int(front[middle[np.argmax(bulge)]])


def _best(points: NDArray[np.float64], column: int) -> int:
    """Row with the smallest value of ``column``; among equals the one best in the other columns in order."""
    others = [points[:, other] for other in reversed(range(points.shape[1])) if other != column]
    return int(np.lexsort((*others, points[:, column]))[0])


def pick(front: Sequence[Evaluated], objectives: Sequence[Objective]) -> tuple[Pick, ...]:
    """BL, BA and O of a front, in this order; those that the objectives do not allow are absent.

    BL needs ``latency_ms`` minimised, BA needs ``accuracy`` maximised, O needs both. O is the knee of
    the latency-accuracy front of the members, whatever other objectives there are.
    """
    if not front:
        return ()
    wanted = {(target.name, target.direction) for target in (LATENCY, ACCURACY)}
    names = [o.name if (o.name, o.direction) in wanted else "" for o in objectives]
    points = to_minimised(np.array([member.values for member in front]), objectives)
    chosen: list[Pick] = []
    for label, name in (("BL", LATENCY.name), ("BA", ACCURACY.name)):
        if name in names:
            member = front[_best(points, names.index(name))]
            chosen.append(Pick("BL" if label == "BL" else "BA", member.architecture, member.values))
    if LATENCY.name in names and ACCURACY.name in names:
        member = front[knee(points[:, [names.index(LATENCY.name), names.index(ACCURACY.name)]])]
        chosen.append(Pick("O", member.architecture, member.values))
    return tuple(chosen)
