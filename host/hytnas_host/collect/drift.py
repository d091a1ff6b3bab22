"""Whether a device still runs as fast as before, judged by its canary.

A single process of the canary scatters as every process does, so one that stands out is confirmed by two
more before it counts. Where the canary's own noise is too large to see 3 %, the limit is what can be seen.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hytnas_agent.label import t_quantile
from hytnas_agent.statistics import mad, median

DRIFT_TOLERANCE: Final = 0.03
DRIFT_PAUSES_S: Final[tuple[float, ...]] = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
MIN_REFERENCE: Final = 3
"""Canaries without which nothing is known of the speed before."""

CONFIRMATIONS: Final = 3
MAD_TO_SIGMA: Final = 1.4826
VARIANCE_OF_MEDIAN_OF_3: Final = 0.4487
"""Of three normal values, relative to the variance of one (David and Nagaraja, Order statistics, 2003)."""

MIN_ROBUST: Final = 10
"""Canaries from which on the spread is the robust one: of fewer, the median absolute deviation is too often
far too small (with three, noise alone would be drift in 22 % of the looks)."""


def drift_limit(reference_ms: Sequence[float], tolerance: float, /) -> float:
    """The shift, in logarithms, from which on the median of three canaries counts as drift.

    Where the noise decides, a look finds drift on a steady device in 1 % of all cases or less. The factors
    are fitted above the 99 % quantiles of 400 000 simulated looks at normal noise for each number of them:
    7.9, 4.0, 3.1 standard errors from the standard deviation of 3, 5, 8 canaries, and 4.2, 3.2, 2.9 from the
    median absolute deviation of 10, 20, 30.

    Parameters
    ----------
    reference_ms : (n,) float, milliseconds
        Medians of the canary's processes before.
    tolerance : float
        Ratio, less 1, that is always allowed; 0.03 is 3 %.

    Returns
    -------
    float
        The tolerance, or what the spread of the reference explains where that is more; infinite for fewer
        than three.
    """
    n = len(reference_ms)
    if n < MIN_REFERENCE:
        return math.inf
    logarithms = [math.log(value) for value in reference_ms]
    if n < MIN_ROBUST:
        sigma, factor = statistics.stdev(logarithms), 0.92 * t_quantile(0.99, n - 1)
    else:
        sigma, factor = MAD_TO_SIGMA * mad(logarithms), max(3.0, 2.4 + 21 / n)
    variance = VARIANCE_OF_MEDIAN_OF_3 + math.pi / 2 / n
    return max(math.log1p(tolerance), factor * sigma * math.sqrt(variance))


def shift_of(latest_ms: Sequence[float], reference_ms: Sequence[float], /) -> float:
    """By what the latest canaries are slower than the reference, as a logarithm of the ratio of medians."""
    return math.log(median(latest_ms) / median(reference_ms))


@dataclass(frozen=True, slots=True)
class DriftRule:
    """What is drift, and what to do about it.

    Attributes
    ----------
    tolerance : float
        Ratio of the canary's latency to that of before, less 1, up to which nothing has drifted.
    pauses_s : tuple of float
        After which a canary that has drifted is looked at again.
    stop : bool
        Give a device up whose canary does not come back, instead of going on at its new speed.
    """

    tolerance: float = DRIFT_TOLERANCE
    pauses_s: tuple[float, ...] = DRIFT_PAUSES_S
    stop: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """One process of the canary that went well: the jobs of its attempts, and what it came to."""

    job_ids: tuple[str, ...]
    median_ms: float


@dataclass(frozen=True, slots=True)
class Sighting:
    """What looking at the canary showed.

    Attributes
    ----------
    drifted : bool
    shift : float
        Ratio of its latency to that of before, less 1; 0 where nothing is known.
    readings : tuple of Reading
        What was measured for it.
    known : bool
        False where the canary failed, or was stopped, so that it shows neither drift nor that there is none.
    """

    drifted: bool
    shift: float
    readings: tuple[Reading, ...]
    known: bool = True


class CanaryWatch:
    """Compares the canary with what it was before, and waits for it to come back.

    Parameters
    ----------
    measure : callable
        Measures one process of the canary; None where it did not go well or the collection was stopped.
    reference : callable
        Medians of the canary's processes so far, milliseconds; those of a drift or of an earlier speed are
        to be left out.
    tolerance : float
        Ratio, less 1, that is always allowed.
    """

    def __init__(
        self,
        measure: Callable[[], Reading | None],
        reference: Callable[[], Sequence[float]],
        *,
        tolerance: float = DRIFT_TOLERANCE,
    ) -> None:
        self._measure = measure
        self._reference = reference
        self._tolerance = tolerance

    def look(self) -> Sighting:
        """Measure the canary: once if it is as before, three times if it seems not to be.

        Without a reference of three it is measured until there is one, and nothing counts as drift.
        """
        reference = list(self._reference())
        readings: list[Reading] = []
        wanted = 1 if len(reference) >= MIN_REFERENCE else MIN_REFERENCE - len(reference)
        limit = drift_limit(reference, self._tolerance)
        while len(readings) < wanted:
            reading = self._measure()
            if reading is None:
                return Sighting(False, 0.0, tuple(readings), known=False)
            readings.append(reading)
            if wanted == 1 and abs(shift_of([reading.median_ms], reference)) > limit:
                wanted = CONFIRMATIONS
        if len(reference) < MIN_REFERENCE:
            return Sighting(False, 0.0, tuple(readings))
        shift = shift_of([reading.median_ms for reading in readings], reference)
        drifted = len(readings) == CONFIRMATIONS and abs(shift) > limit
        return Sighting(drifted, math.expm1(shift), tuple(readings))
