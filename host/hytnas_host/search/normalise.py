"""Rank normalisation: what the surrogates learn, so that no unit and no outlier rules the search."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


@dataclass(frozen=True)
class RankScale:
    """Maps each objective to its mean rank among known values, scaled to [0, 1].

    Attributes
    ----------
    levels : tuple of m (u_j,) float64 arrays
        The distinct known values of each objective, ascending.
    ranks : tuple of m (u_j,) float64 arrays
        Their scaled mean ranks: 0 for the smallest, 1 for the largest when neither is tied.
    """

    levels: tuple[NDArray[np.float64], ...]
    ranks: tuple[NDArray[np.float64], ...]

    @classmethod
    def fit(cls, values: NDArray[np.float64], /) -> Self:
        """The scale of ``values`` (n, m), minimised, n >= 1."""
        levels, ranks = [], []
        for column in values.T:
            known, first = np.unique(column, return_index=True)
            scaled = (rankdata(column) - 1.0) / max(len(column) - 1, 1)
            levels.append(known)
            ranks.append(scaled[first])
        return cls(tuple(levels), tuple(ranks))

    def column(self, index: int, values: NDArray[np.float64], /) -> NDArray[np.float64]:
        """(n,) scaled ranks of (n,) ``values`` of one objective.

        Linear between known values. Beyond them the rank goes on below 0 and above 1, by the distance in
        units of the known range, so that a better value than any known one still counts as better.
        """
        levels, ranks = self.levels[index], self.ranks[index]
        inside = np.interp(values, levels, ranks)
        extent = float(levels[-1] - levels[0])
        scale = extent if extent > 0 else (abs(float(levels[0])) or 1.0)
        beyond = np.minimum(values - levels[0], 0.0) + np.maximum(values - levels[-1], 0.0)
        return np.asarray(inside + beyond / scale, dtype=np.float64)

    def transform(self, values: NDArray[np.float64], /) -> NDArray[np.float64]:
        """(n, m) scaled ranks of (n, m) ``values``, minimised."""
        columns = [self.column(index, values[:, index]) for index in range(len(self.levels))]
        return np.column_stack(columns)
