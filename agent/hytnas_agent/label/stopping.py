"""Which process of a model is measured next, and when there are enough of them.

The interval is a t-interval on the logarithms of the process medians. Whoever looks at it after every process
and stops once it is narrow stops too early just when the processes happen to agree, so that an interval of
nominal 95 % would cover the truth less often: 92 % in the worst case. So each look is held to a higher
confidence, by a factor that simulation gave; it is the same for every size of noise, because only the ratio
of noise and target matters. ``benchmarks/interval_coverage.py`` states what it comes to.

References
----------
.. [chow1965] Chow and Robbins, "On the asymptotic theory of fixed-width sequential confidence intervals for
   the mean", Annals of Mathematical Statistics 36(2), 1965: the rule, and why it covers in the limit only.
.. [anscombe1953] Anscombe, "Sequential estimation", Journal of the Royal Statistical Society B 15(1), 1953:
   that it undercovers with few samples.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from hytnas_agent.label.attempts import came_to, counting, given_up, medians_ms, process_settled, well_timed
from hytnas_agent.label.intervals import geometric_t_interval
from hytnas_agent.records import ProcessResult

State = Literal["CONTINUE", "STABLE", "UNSTABLE"]

DEFAULT_TARGET: Final = 0.015
DEFAULT_MAX_PROCESSES: Final = 20
MIN_ADAPTIVE: Final = 3
"""With fewer processes before the first look no factor keeps the coverage."""

MISS_SHARE: Final[dict[int, float]] = {3: 0.50, 4: 0.58, 5: 0.66}
"""What each look may miss, as a share of what the whole may, by the processes before the first look.

Calibrated by simulation of normal noise, so that the coverage at the worst ratio of noise and target is the
nominal one to within a percentage point, and nowhere more than two above it; five holds for more, too.
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a number of process medians say.

    Attributes
    ----------
    state : "CONTINUE", "STABLE" or "UNSTABLE"
        One more process is needed; the interval is narrow enough (or a fixed number of processes is there);
        it is not, and the budget is spent.
    low_ms, high_ms : float or None
        The interval, corrected for the looks. ``None`` with fewer than two medians.
    half_width : float or None
        Of the interval, relative to its centre: 0.015 is +-1.5 %.
    looks : int
        How often the rule has looked so far; 0 where the number of processes is fixed.
    """

    state: State
    low_ms: float | None
    high_ms: float | None
    half_width: float | None
    looks: int


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """At least ``min_processes``, then more until the interval is narrow, at most ``max_processes``.

    Attributes
    ----------
    target_half_width : float
        Half the width of the interval relative to its centre, at which to stop; infinite for no target.
    min_processes, max_processes : int
        Processes before the first look, and the budget. Equal ones make a fixed number.
    confidence : float
        With which the interval of the rule as a whole covers the truth, 0 to 1.

    Raises
    ------
    ValueError
        A number makes no sense.
    """

    target_half_width: float = DEFAULT_TARGET
    min_processes: int = 5
    max_processes: int = DEFAULT_MAX_PROCESSES
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not self.target_half_width > 0:
            raise ValueError(f"a target half width of {self.target_half_width} is not positive")
        if not 0 < self.confidence < 1:
            raise ValueError(f"a confidence of {self.confidence} is not between 0 and 1")
        if not 1 <= self.min_processes <= self.max_processes:
            raise ValueError(f"{self.min_processes} to {self.max_processes} processes is not a range")
        if self.adaptive and self.min_processes < MIN_ADAPTIVE:
            raise ValueError(f"a rule that looks needs at least {MIN_ADAPTIVE} processes before it does")

    @classmethod
    def fixed(cls, processes: int, /, *, confidence: float = 0.95) -> "StoppingRule":
        """So many processes, whatever they say: the interval needs no correction and is never UNSTABLE."""
        return cls(math.inf, processes, processes, confidence)

    @property
    def adaptive(self) -> bool:
        """Whether the number of processes depends on what they say."""
        return self.max_processes > self.min_processes and math.isfinite(self.target_half_width)

    @property
    def look_confidence(self) -> float:
        """The confidence of the t-interval at each look."""
        if not self.adaptive:
            return self.confidence
        share = MISS_SHARE[min(self.min_processes, max(MISS_SHARE))]
        return 1 - share * (1 - self.confidence)

    def decide(self, medians_ms: Sequence[float], /) -> Decision:
        """What to do after ``(n,)`` positive process medians, in the order they were taken.

        Only how many they are and their interval counts, so that a decision can be made again from what is
        stored: after a restart it is the same.
        """
        n = len(medians_ms)
        interval = geometric_t_interval(medians_ms, confidence=self.look_confidence)
        low, high = interval if interval else (None, None)
        half = math.sqrt(high / low) - 1 if low is not None and high is not None else None
        looks = max(n - self.min_processes + 1, 0) if self.adaptive else 0
        narrow = not math.isfinite(self.target_half_width) or (
            half is not None and half <= self.target_half_width
        )
        state: State = "UNSTABLE"
        if n < self.min_processes:
            state = "CONTINUE"
        elif narrow:
            state = "STABLE"
        elif n < self.max_processes:
            state = "CONTINUE"
        return Decision(state, low, high, half, looks)


def next_replicate(
    timed: Mapping[int, Sequence[ProcessResult]], retries: int, rule: StoppingRule, /
) -> int | None:
    """The timed process that a model needs next; None where the rule has come to an end.

    More than the least number would say nothing of a model none of whose processes was undisturbed.

    Parameters
    ----------
    timed : mapping
        The attempts at the model's timed processes by replicate.
    retries : int
        Attempts after a disturbed one that the model has had.
    rule : StoppingRule
    """
    if given_up(timed.values()):
        return None
    replicates = range(rule.max_processes)
    due = next((each for each in replicates if not process_settled(timed.get(each, ()), retries)), None)
    if due is None or due < rule.min_processes:
        return due
    well = well_timed(came_to(timed.values()))
    if all(result.is_disturbed for result in well):
        return None
    return due if rule.decide(medians_ms(counting(well))).state == "CONTINUE" else None
