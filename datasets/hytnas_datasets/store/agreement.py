"""Whether boards of one kind run alike: the canary's process medians on each, compared pair by pair.

Latencies differ by factors, hence logarithms. The rule for a pair of boards: they *disagree* where the ratio
of their canary latencies lies beyond the tolerance and the Welch interval of that ratio excludes 1, which is
to say where the difference is both too large to be mixed and too large to be noise. With several pairs the
confidence is shared out among them (Bonferroni), so that boards that are all equal are accepted with the
stated confidence or better.

With two boards and 5 processes of 2 % noise each, equal boards are refused in 1.3 % of cases, and a
difference of 6 % is found in 97 % (``tests/datasets/store/test_agreement.py``).

References
----------
.. [welch1947] Welch, "The generalization of Student's problem when several different population variances are
   involved", Biometrika 34, 1947.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import msgspec
import numpy as np
from scipy.special import stdtrit

TOLERANCE = 0.03
"""Ratio of canary latencies, less 1, up to which boards may share a data set."""

CONFIDENCE = 0.95
MIN_PROCESSES = 2


class BoardCanary(msgspec.Struct, frozen=True):
    """The canary on one board: how many processes, and the median of their medians."""

    device_id: str
    processes: int
    median_ms: float


class Agreement(msgspec.Struct, frozen=True):
    """How well boards agree on the canary.

    ``ratio`` (at least 1) is that of the geometric means of the pair that decides: of those that disagree the
    one furthest apart, else simply the one furthest apart; ``ratio_low`` and ``ratio_high`` bound it.
    """

    boards: tuple[BoardCanary, ...]
    slower: str
    faster: str
    ratio: float
    ratio_low: float
    ratio_high: float
    tolerance: float
    agree: bool

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
        interval = f"{apart:.1f} % apart (95 % interval {low:.1f} to {high:.1f} %)"
        if self.agree:
            hidden = "; this noise would hide one" if high - low > 400 * self.tolerance else ""
            return (
                f"the boards show no difference beyond {limit}: the canary takes {slower} and {faster}, "
                f"{interval}{hidden}"
            )
        return f"the boards disagree by more than {limit}: the canary takes {slower} but {faster}, {interval}"


def compare_boards(
    medians_ms: Mapping[str, Sequence[float]], /, *, tolerance: float = TOLERANCE
) -> Agreement | None:
    """Whether the boards' canaries agree.

    Parameters
    ----------
    medians_ms : mapping of device id to (k,) float
        Medians of fresh processes of the canary, milliseconds, positive.
    tolerance : float
        See the module.

    Returns
    -------
    Agreement, or None with fewer than two boards of at least two processes each.
    """
    logs = {
        device: np.log(np.asarray(values, dtype=np.float64))
        for device, values in medians_ms.items()
        if len(values) >= MIN_PROCESSES
    }
    if len(logs) < 2:
        return None
    pairs = list(combinations(logs, 2))
    confidence = 1 - (1 - CONFIDENCE) / len(pairs)
    compared = [_compare(logs, pair, confidence) for pair in pairs]
    apart = [c for c in compared if c[1] > math.log1p(tolerance) and c[2] > 0]
    (slower, faster), log_ratio, low, high = max(apart or compared, key=lambda c: c[1])
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
        agree=not apart,
    )


def _compare(
    logs: Mapping[str, np.ndarray], pair: tuple[str, str], confidence: float
) -> tuple[tuple[str, str], float, float, float]:
    """(slower, faster), log ratio >= 0, and its interval of [welch1947]_."""
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
