"""Pareto dominance and hypervolume on minimised objectives, by moocore.

References
----------
[Guerreiro2021] A. P. Guerreiro, C. M. Fonseca, L. Paquete, "The Hypervolume Indicator: Computational Problems
    and Algorithms", ACM Computing Surveys 54(6), 2021.
"""

from collections.abc import Sequence

import moocore
import numpy as np
from numpy.typing import NDArray

from hytnas_host.search.errors import SearchError


def non_dominated(points: NDArray[np.float64], /) -> NDArray[np.bool_]:
    """(n,) bool: the rows of ``points`` (n, m), minimised, that no other row dominates.

    Equal rows do not dominate each other, so all of them are kept.
    """
    if len(points) == 0:
        return np.zeros(0, dtype=np.bool_)
    return np.asarray(moocore.is_nondominated(points, keep_weakly=True), dtype=np.bool_)


def front_ranks(points: NDArray[np.float64], /) -> NDArray[np.int64]:
    """(n,) int: 0 for rows in the first non-dominated front of ``points`` (n, m), 1 in the second, and so on.

    Equal rows share a front.
    """
    return np.asarray(moocore.pareto_rank(points), dtype=np.int64)


def hypervolume(points: NDArray[np.float64], reference_point: NDArray[np.float64], /) -> float:
    """Volume dominated by ``points`` (n, m) and bounded by ``reference_point`` (m,), all minimised.

    Points that do not dominate the reference point add nothing. 0 for no points. [Guerreiro2021]_
    """
    if len(points) == 0:
        return 0.0
    return float(moocore.hypervolume(points, ref=reference_point))


def hypervolume_improvement(
    front: NDArray[np.float64], candidates: NDArray[np.float64], reference_point: NDArray[np.float64], /
) -> NDArray[np.float64]:
    """(k,) float64: how much each of ``candidates`` (k, m) alone would add to the hypervolume of ``front``.

    All values are minimised; ``front`` is (n, m) and may hold dominated rows.
    """
    if len(candidates) == 0:
        return np.zeros(0)
    kept = front[non_dominated(front)] if len(front) else front.reshape(0, candidates.shape[1])
    before = hypervolume(kept, reference_point)
    gains = [hypervolume(np.vstack([kept, row]), reference_point) - before for row in candidates]
    return np.maximum(gains, 0.0)


def choose_reference_point(points: NDArray[np.float64], /, *, margin: float = 0.1) -> NDArray[np.float64]:
    """(m,) float64: the worst of ``points`` (n, m) in each objective, and ``margin`` of the range beyond.

    Where all points share a value the margin is that share of its magnitude, or of 1 at 0.
    """
    if len(points) == 0:
        raise SearchError(
            "There is no feasible point to choose a reference point from", "Give reference_point"
        )
    worst, best = points.max(axis=0), points.min(axis=0)
    extent = worst - best
    magnitude = np.where(worst == 0, 1.0, np.abs(worst))
    return np.asarray(worst + margin * np.where(extent > 0, extent, magnitude), dtype=np.float64)


class RunningFront:
    """The points that no other dominates, of points that come bit by bit; all minimised.

    Parameters
    ----------
    m : int
        Number of objectives.
    """

    def __init__(self, m: int) -> None:
        self.points: NDArray[np.float64] = np.zeros((0, m))

    def add(self, points: NDArray[np.float64], /) -> None:
        """Take in (n, m) ``points``; rows with NaN stand for points that may not count."""
        usable = points[~np.isnan(points).any(axis=1)]
        if len(usable):
            both = np.vstack([self.points, usable])
            self.points = both[non_dominated(both)]

    def hypervolume(self, reference_point: NDArray[np.float64], /) -> float:
        """What the points dominate, bounded by ``reference_point`` (m,)."""
        return hypervolume(self.points, reference_point)


def hypervolume_history(
    points: NDArray[np.float64], counts: Sequence[int], reference_point: NDArray[np.float64], /
) -> tuple[tuple[int, float], ...]:
    """(count, hypervolume of the first ``count`` rows of ``points`` (n, m)) for each count, ascending.

    Rows of NaN stand for points that may not count (they break a constraint).
    """
    front = RunningFront(points.shape[1])
    history, start = [], 0
    for count in counts:
        front.add(points[start:count])
        history.append((int(count), front.hypervolume(reference_point)))
        start = count
    return tuple(history)
