"""Robust statistics of latencies, pure and on the standard library alone.

References
----------
.. [hyndman1996] Hyndman and Fan, "Sample quantiles in statistical packages", The American Statistician 50(4),
   1996: definition 7, the default of numpy and R.
"""

import math
from collections.abc import Sequence


def mean(values: Sequence[float], /) -> float:
    """Arithmetic mean of ``(n,)`` values, n >= 1."""
    return math.fsum(values) / len(values)


def quantile(values: Sequence[float], probability: float, /) -> float:
    """Quantile of ``(n,)`` values by linear interpolation, definition 7 of [hyndman1996]_, n >= 1."""
    ordered = sorted(values)
    position = probability * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])


def median(values: Sequence[float], /) -> float:
    """Median of ``(n,)`` values, n >= 1."""
    return quantile(values, 0.5)


def mad(values: Sequence[float], /) -> float:
    """Median absolute deviation from the median of ``(n,)`` values, unscaled, n >= 1."""
    centre = median(values)
    return median([abs(value - centre) for value in values])
