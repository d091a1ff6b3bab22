"""Fake clocks that durations move on, and a core whose speed is a recorded or random course of spells."""

import math
from collections.abc import Iterable, Sequence


class Replay:
    """A clock, in nanoseconds, that each run moves on by the next duration."""

    def __init__(self, durations_ns: Iterable[int]) -> None:
        self.now = 0
        self.ran = 0
        self._durations = iter(durations_ns)

    def clock(self) -> int:
        return self.now

    def run(self) -> None:
        self.now += next(self._durations)
        self.ran += 1


class SpellCore:
    """A core that is fast and slow in turns: a clock in nanoseconds that the work done on it moves on.

    Parameters
    ----------
    ends_ns : sequence of int
        When each spell ends, ascending; the first is fast unless ``slow_first``, the last never ends.
    run_ns, probe_ns : int
        What a run of the model and a probe take while it is fast.
    slowdown : float
        How many times as long they take while it is slow.
    """

    def __init__(
        self,
        ends_ns: Sequence[int],
        *,
        run_ns: int,
        probe_ns: int,
        slow_first: bool = False,
        slowdown: float = 1.3,
    ) -> None:
        self.now = 0
        self._ends_ns, self._spell = list(ends_ns), 0
        self._run_ns, self._probe_ns = run_ns, probe_ns
        self._slow_first, self._slowdown = slow_first, slowdown

    def clock(self) -> int:
        return self.now

    def run(self) -> None:
        self._work(self._run_ns)

    def probe(self) -> int:
        before = self.now
        self._work(self._probe_ns)
        return self.now - before

    def _work(self, work_ns: float) -> None:
        while work_ns > 0:
            while self._spell < len(self._ends_ns) and self._ends_ns[self._spell] <= self.now:
                self._spell += 1
            factor = self._slowdown if (self._spell % 2 == 1) is not self._slow_first else 1.0
            takes_ns = math.ceil(factor * work_ns)
            left_ns = self._ends_ns[self._spell] - self.now if self._spell < len(self._ends_ns) else takes_ns
            spent_ns = min(takes_ns, left_ns)
            self.now += spent_ns
            work_ns -= spent_ns / factor
