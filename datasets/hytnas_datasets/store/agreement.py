"""Whether boards of one kind run alike: the canary's process medians on each, compared pair by pair.

Latencies differ by factors, hence logarithms. The rule for a pair of boards: they *agree* where the Welch
interval of the ratio of their canary latencies lies within the tolerance, and *disagree* where the ratio lies
beyond the tolerance and the interval excludes 1, which is to say where the difference is both too large to be
mixed and too large to be noise. Anything else is *undecided*: more processes will tell. With several pairs
the confidence is shared out among them (Bonferroni), and all must agree. Processes that something disturbed
stand back, see ``comparable_ms``.

References
----------
.. [welch1947] Welch, "The generalization of Student's problem when several different population variances are
   involved", Biometrika 34, 1947.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Final, Literal

import msgspec
import numpy as np

from hytnas_agent.label import least_disturbed
from hytnas_agent.records import Outcome, ProcessResult

TOLERANCE = 0.03
"""Ratio of canary latencies, less 1, up to which boards may share a data set."""

CONFIDENCE = 0.95
MIN_PROCESSES = 2
"""Without so many a board cannot be compared at all."""
WANTED_PROCESSES: Final = 3
"""That a board is to be compared by, disturbed ones if need be: two say little about how they scatter."""

Verdict = Literal["agree", "disagree", "undecided"]


class BoardCanary(msgspec.Struct, frozen=True):
    """The canary on one board: how many processes, and the median of their medians."""

    device_id: str
    processes: int
    median_ms: float


class Agreement(msgspec.Struct, frozen=True):
    """How well boards agree on the canary.

    ``ratio`` (at least 1) is that of the geometric means of the pair that decides: of those that disagree the
    one furthest apart, else the one whose interval reaches furthest; ``ratio_low`` and ``ratio_high`` bound
    it with ``confidence``, a fraction.
    """

    boards: tuple[BoardCanary, ...]
    slower: str
    faster: str
    ratio: float
    ratio_low: float
    ratio_high: float
    tolerance: float
    confidence: float
    verdict: Verdict

    @property
    def agree(self) -> bool:
        """Whether labels of these boards may be mixed."""
        return self.verdict == "agree"

    def describe(self, names: Mapping[str, str]) -> str:
        """One line for a person; ``names`` says what boards are called."""
        ms = {
            board.device_id: f"{board.median_ms:.4g} ms on {names.get(board.device_id, board.device_id)} "
            f"({board.processes} processes)"
            for board in self.boards
        }
        slower, faster = ms[self.slower], ms[self.faster]
        apart, low, high = (100 * (value - 1) for value in (self.ratio, self.ratio_low, self.ratio_high))
        limit = f"{100 * self.tolerance:g} %"
        interval = f"{apart:.1f} % apart ({100 * self.confidence:.3g} % interval {low:.1f} to {high:.1f} %)"
        said = {
            "agree": f"the boards agree within {limit}",
            "disagree": f"the boards disagree by more than {limit}",
            "undecided": f"the canary varies too much to tell whether the boards agree within {limit}",
        }[self.verdict]
        but = "but" if self.verdict == "disagree" else "and"
        return f"{said}: the canary takes {slower} {but} {faster}, {interval}"


def comparable_ms(processes: Iterable[Sequence[ProcessResult]], /) -> list[float]:
    """Medians that a board is compared with others by, in milliseconds.

    Those of the undisturbed processes; where these are fewer than three, made up to three with the fastest of
    the others.

    Parameters
    ----------
    processes : iterable
        Of the canary: the attempts of each, in order, discarded ones left out. A process is what its attempts
        came to.
    """
    came_to = [least_disturbed(attempts) for attempts in processes]
    well = [(each.median_ms, each.is_disturbed) for each in came_to if each.outcome is Outcome.OK]
    undisturbed = [median_ms for median_ms, disturbed in well if median_ms and not disturbed]
    others = sorted(median_ms for median_ms, disturbed in well if median_ms and disturbed)
    return undisturbed + others[: max(0, WANTED_PROCESSES - len(undisturbed))]


def compare_boards(
    medians_ms: Mapping[str, Sequence[float]], /, *, tolerance: float = TOLERANCE
) -> Agreement | None:
    """Whether the boards' canaries agree; see the module for the rule.

    Parameters
    ----------
    medians_ms : mapping of device id to (k,) float
        Medians of fresh processes of the canary, milliseconds, positive.
    tolerance : float
        Ratio, less 1.

    Returns
    -------
    Agreement, or None with fewer than two boards of at least two processes each.
    """
    logs = {
        device: np.log(np.asarray(values, dtype=np.float64))
        for device, values in sorted(medians_ms.items())  # not by which board came first
        if len(values) >= MIN_PROCESSES
    }
    if len(logs) < 2:
        return None
    pairs = list(combinations(logs, 2))
    confidence = 1 - (1 - CONFIDENCE) / len(pairs)
    compared = [_compare(logs, pair, confidence) for pair in pairs]
    limit = math.log1p(tolerance)
    apart = [c for c in compared if c[1] > limit and c[2] > 0]
    reach = max(compared, key=lambda c: c[3])
    (slower, faster), log_ratio, low, high = max(apart, key=lambda c: c[1]) if apart else reach
    verdict: Verdict = "disagree" if apart else "agree" if reach[3] <= limit else "undecided"
    return Agreement(
        boards=tuple(
            BoardCanary(device, len(values), float(np.exp(np.median(values))))
            for device, values in logs.items()
        ),
        slower=slower,
        faster=faster,
        ratio=math.exp(log_ratio),
        ratio_low=math.exp(low),
        ratio_high=math.exp(high),
        tolerance=tolerance,
        confidence=confidence,
        verdict=verdict,
    )


def _compare(
    logs: Mapping[str, np.ndarray], pair: tuple[str, str], confidence: float
) -> tuple[tuple[str, str], float, float, float]:
    """(slower, faster), log ratio >= 0, and its interval of [welch1947]_."""
    from scipy.special import stdtrit  # noqa: PLC0415 (slow to import, and only for several boards)

    slower, faster = sorted(pair, key=lambda device: -float(logs[device].mean()))
    difference = float(logs[slower].mean() - logs[faster].mean())
    parts = [float(logs[device].var(ddof=1)) / len(logs[device]) for device in (slower, faster)]
    variance = sum(parts)
    if variance == 0.0:
        return (slower, faster), difference, difference, difference
    degrees = variance**2 / sum(
        part**2 / (len(logs[device]) - 1) for part, device in zip(parts, (slower, faster), strict=True)
    )
    half = float(stdtrit(degrees, (1 + confidence) / 2)) * math.sqrt(variance)
    return (slower, faster), difference, difference - half, difference + half
