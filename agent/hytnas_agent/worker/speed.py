"""A fixed piece of work that tells how fast the core is, and the watch that takes it between timed runs.

``python -m hytnas_agent.worker.speed CORE SECONDS`` does it on one core for so long, and prints how long it
took each time: `hytnas_agent.device.core_watch`.
"""

import os
import sys
import time
from collections.abc import Callable

import msgspec
import numpy as np

from hytnas_agent.core_speed import MIN_SHARE, OWN_QUANTILE, CoreSpeed, is_fast, never_enough
from hytnas_agent.statistics import quantile

SIDE = 40
WARMING_PRODUCTS, TIMED_PRODUCTS = 8, 16
MIN_GROUP_S = 0.002
MIN_GROUP_PROBES = 30
"""A probe takes half as long again as it says: the first products are not timed."""
PATIENCE_S = 0.5
FIRST_LOOK_S = 1.0
"""For how long the best speed is looked for by the first process, which knows of none before it."""
RISING_S = 0.2
LOOK_S = 0.02
"""One look at the core before the first run. It is fast if three quarters of the probes are, as of the
runs that a process needs: beside some neighbours one probe in four is fast all the time."""


class CoreStaysSlowError(Exception):
    """The core was not fast again within the time that it was waited for."""


class SpeedProbe:
    """Multiplies small matrices that stay in the first-level cache, on the calling thread alone.

    The first products, which are not timed, bring the matrices and the code back to the caches from which the
    model has driven them: only then do the times of a fast and of a shared core lie apart.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._matrix = np.linspace(-1, 1, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
        self._product = np.empty_like(self._matrix)

    def __call__(self) -> int:
        """Nanoseconds that it takes now."""
        for _ in range(WARMING_PRODUCTS):
            np.matmul(self._matrix, self._matrix, out=self._product)
        before = self._clock()
        for _ in range(TIMED_PRODUCTS):
            np.matmul(self._matrix, self._matrix, out=self._product)
        return self._clock() - before


def look_for_best(
    probe: Callable[[], int], *, clock: Callable[[], int], seconds: float = FIRST_LOOK_S
) -> float:
    """What the fixed work takes at best, by doing it again and again for so long; microseconds.

    A process that begins beside a neighbour would take the slow core for the device's best.
    """
    return quantile(again_and_again(probe, clock=clock, seconds=seconds), OWN_QUANTILE) / 1e3


def again_and_again(probe: Callable[[], int], *, clock: Callable[[], int], seconds: float) -> list[int]:
    """Nanoseconds that the fixed work takes each time, for so long; at least once."""
    durations_ns: list[int] = []
    end = clock() + 1e9 * seconds
    while clock() < end or not durations_ns:
        durations_ns.append(probe())
    return durations_ns


class SpeedWatch:
    """Takes a probe around groups of runs, and holds a group back while the core is slow.

    A group lasts twenty times as long as the probe between two or longer, so that watching takes a twentieth.

    Parameters
    ----------
    probe : callable
        Nanoseconds that the fixed work takes now.
    clock : callable
        Nanoseconds.
    best_us : float
        What it takes at best, by processes before this one or by `look_for_best`.
    patience_s : float
        For how long groups are held back at most, all together.
    may_end_early : bool
        Whether the process is to end once it cannot become valid any more.

    Attributes
    ----------
    ended_early : bool
        Whether it did; set by whoever ends it.
    """

    def __init__(
        self,
        probe: Callable[[], int],
        *,
        clock: Callable[[], int],
        best_us: float,
        patience_s: float = PATIENCE_S,
        may_end_early: bool = False,
    ) -> None:
        self.may_end_early, self.ended_early = may_end_early, False
        self._probe, self._clock = probe, clock
        self._best_ns = 1e3 * best_us
        self._patience_ns = 1e9 * patience_s
        self._probes_ns: list[int] = []
        self._before: list[int] = []
        self._slow_runs = 0
        self._look_ns: list[int] = []
        self._waited_before_s = self._wait_limit_s = 0.0
        self._waited_ns = 0
        self._group_began = 0
        self._open = False

    @property
    def waited_ns(self) -> int:
        """For how long groups have been held back so far."""
        return self._waited_ns

    @property
    def patient(self) -> bool:
        """Whether groups may still be held back; a core that stays slow is not worth more runs."""
        return self._waited_ns < self._patience_ns

    def wait_before(self, limit_s: float) -> bool:
        """Look at the core again and again until it is fast, for so long at most; whether it is.

        To be called after the warm-up. Nothing before the timed runs needs a fast core: while it is slow the
        model may as well be loaded.
        """
        begin = self._clock()
        self._wait_limit_s = limit_s
        while True:
            self._look_ns = again_and_again(self._probe, clock=self._clock, seconds=LOOK_S)
            fast = sum(map(self._is_fast, self._look_ns)) >= MIN_SHARE * len(self._look_ns)
            waited_s = (self._clock() - begin) / 1e9
            if fast or waited_s >= limit_s:
                # The last look is not waiting: an undisturbed process takes it, too.
                self._waited_before_s = waited_s if not fast else max(0.0, waited_s - LOOK_S)
                return fast

    def before_run(self) -> None:
        """To be called before each run: at the begin of a group it may hold it back."""
        if not self._open:
            if not self._probes_ns:
                self._probe()  # the very first is slower: its code has never run
                self._probes_ns.append(self._probe())
            self._wait()
            self._open = True
            self._group_began = self._clock()
        self._before.append(len(self._probes_ns) - 1)

    def after_run(self, now: int) -> bool:
        """To be called after each run, with the time: whether the group has ended, and its probe is taken."""
        if now - self._group_began < self.group_ns:
            return False
        self.end_group()
        return True

    def end_group(self) -> None:
        """Take the probe after the last run, unless it is taken."""
        if self._open:
            taken = self._probe()
            if not self._is_fast(taken):
                # Of whatever holds up the work for some microseconds a run knows nothing; a neighbour stays.
                taken = min(taken, self._probe())
            self._probes_ns.append(taken)
            self._open = False
            self._count_slow()

    @property
    def group_ns(self) -> float:
        """How long a group of runs lasts at least."""
        return max(1e9 * MIN_GROUP_S, MIN_GROUP_PROBES * min(self._best_ns, *self._probes_ns))

    def decided(self, most_runs: int) -> bool:
        """Whether too many runs were slow for the process to become valid, with so many runs in all at most.

        What the work takes at best may yet turn out to be less than is known, never more: a run that is slow
        by what is known stays slow.
        """
        return never_enough(self._slow_runs, most_runs)

    @property
    def runs_at_speed(self) -> int:
        """How many runs of ended groups count so far."""
        return sum(self.read().at_speed())

    def read(self) -> CoreSpeed:
        """What the probes came to, those of the last look where there was no run; there is one at least."""
        probes_ns = self._probes_ns or self._look_ns
        best_ns = min(self._best_ns, quantile(probes_ns, OWN_QUANTILE))
        return CoreSpeed(
            best_us=round(best_ns / 1e3, 3),
            probe_us=tuple(each / 1e3 for each in probes_ns),
            before=tuple(self._before),
            waited_s=self._waited_ns / 1e9,
            waited_before_s=round(self._waited_before_s, 6),
            wait_limit_s=self._wait_limit_s,
            ended_early=self.ended_early,
        )

    def _count_slow(self) -> None:
        """Count the runs of the group that has ended, if they are slow by the best that is known."""
        best_us = round(self._best_ns / 1e3, 3)  # as it is read
        if not all(is_fast(each / 1e3, best_us) for each in self._probes_ns[-2:]):
            place = len(self._probes_ns) - 2
            self._slow_runs += sum(1 for each in self._before if each == place)

    def _wait(self) -> None:
        """Take probes until one is as fast as at best, or patience ends."""
        if self._is_fast(self._probes_ns[-1]):
            return
        begin = self._clock()
        spent_before = self._waited_ns
        while self.patient:
            latest = self._probe()
            self._waited_ns = spent_before + self._clock() - begin
            if self._is_fast(latest):
                self._probes_ns.append(latest)
                return

    def _is_fast(self, duration_ns: int) -> bool:
        return is_fast(duration_ns, self._best_ns)


def durations_us(core: int, seconds: float) -> list[float]:
    """Microseconds that the fixed work takes on a core, again and again for so long."""
    os.sched_setaffinity(0, {core})
    clock = time.perf_counter_ns
    probe = SpeedProbe(clock)
    again_and_again(probe, clock=clock, seconds=RISING_S)  # a clock that follows the load has to rise first
    return [each / 1e3 for each in again_and_again(probe, clock=clock, seconds=seconds)]


def main() -> None:
    """Print what the work takes on the core, and for the seconds, of the command line."""
    taken_us = durations_us(int(sys.argv[1]), float(sys.argv[2]))
    sys.stdout.buffer.write(msgspec.json.encode({"durations_us": taken_us}) + b"\n")


if __name__ == "__main__":
    main()
