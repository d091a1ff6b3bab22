"""The interval of process medians: Student's t on their logarithms, on the standard library alone.

References
----------
.. [abramowitz1964] Abramowitz and Stegun, "Handbook of mathematical functions", 1964: 26.7.3 and 26.7.4, the
   distribution of Student's t for whole degrees of freedom in closed form.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

from hytnas_agent.statistics import mean


def t_two_sided(t: float, degrees: int, /) -> float:
    """P(\\|T\\| <= t) of Student's t with ``degrees`` >= 1, for t >= 0, by [abramowitz1964]_."""
    theta = math.atan2(t, math.sqrt(degrees))
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = degrees % 2 == 1
    if degrees == 1:
        return 2 * theta / math.pi
    term = cosine if odd else 1.0
    total = term
    for k in range(3 if odd else 2, degrees - 1, 2):
        term *= cosine * cosine * ((k - 1) / k)
        total += term
    return 2 / math.pi * (theta + sine * total) if odd else sine * total


@lru_cache(maxsize=64)
def t_quantile(confidence: float, degrees: int, /) -> float:
    """The t that \\|T\\| stays within with probability ``confidence`` (0 to 1), ``degrees`` >= 1."""
    if not 0 <= confidence < 1 or degrees < 1:
        raise ValueError(f"no t quantile for confidence {confidence} and {degrees} degrees of freedom")
    high = 1.0
    while t_two_sided(high, degrees) < confidence:
        high *= 2
    low = 0.0
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if t_two_sided(middle, degrees) < confidence else (low, middle)
    return high


def geometric_t_interval(
    values: Sequence[float], /, *, confidence: float = 0.95
) -> tuple[float, float] | None:
    """A t-interval on the logarithms of ``(n,)`` positive values, back on their own scale.

    Process medians differ by a factor rather than by a term, hence the logarithm. The interval holds for a
    number of processes fixed beforehand.

    Returns
    -------
    (low, high), or None with fewer than two values, which say nothing about their spread.
    """
    n = len(values)
    if n < 2:
        return None
    logs = [math.log(value) for value in values]
    centre = mean(logs)
    variance = math.fsum((value - centre) ** 2 for value in logs) / (n - 1)
    half = t_quantile(confidence, n - 1) * math.sqrt(variance / n)
    return math.exp(centre - half), math.exp(centre + half)
