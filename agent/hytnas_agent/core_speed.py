"""How fast the measuring core was beside each timed run, and which runs count for it; pure.

Two hardware threads share a core, and who has the other one is nowhere to be read: neither the kernel's
counters nor a hypervisor's steal time know. So a small fixed piece of work is timed between the runs
(`hytnas_agent.worker.speed`). Beside a neighbour it takes some 20 to 40 % longer than alone, and a model
with it; a run counts where it took no longer than at best on both sides of the run.
"""

from collections.abc import Sequence
from itertools import compress
from typing import Final

import msgspec

TOLERANCE: Final = 0.10
"""By which the work may take longer than at best: alone mostly within 6 %, beside a neighbour above 18 %."""

OWN_QUANTILE: Final = 0.10
"""What the work takes at best within one process, among all its times: a single lucky one is not it."""

MIN_AT_SPEED: Final = 5
MIN_SHARE: Final = 0.75
"""So many runs at speed, and this share of all runs, make a median; else all runs count, as disturbed ones.

A neighbour that comes and goes within milliseconds slows the inside of runs that look fast from both ends.
"""


class CoreSpeed(msgspec.Struct, frozen=True):
    """What the fixed work took beside the timed runs of a process.

    Attributes
    ----------
    best_us : float
        What it takes on this device at best, by this process and those before it; microseconds.
    probe_us : tuple of float
        What it took, in order; microseconds.
    before : tuple of int
        For each timed run the place in ``probe_us`` of the last work before it; the one after that place is
        the next after the run.
    waited_s : float
        How long runs were held back in all, for the core to be fast again.
    waited_before_s, wait_limit_s : float
        How long the core was waited for before the first run, and how long it might have been.
    ended_early : bool
        Whether the process ended before its runs were done, because it could not become valid any more.
        Without any run the wait was in vain, and ``probe_us`` is its last look.
    """

    best_us: float
    probe_us: tuple[float, ...]
    before: tuple[int, ...]
    waited_s: float = 0.0
    waited_before_s: float = 0.0
    wait_limit_s: float = 0.0
    ended_early: bool = False

    @property
    def waited_in_vain(self) -> bool:
        """Whether the wait before the first run ended with a core that was still slow."""
        return 0 < self.wait_limit_s <= self.waited_before_s

    def at_speed(self) -> list[bool]:
        """For each run, whether the core was as fast as at best on both sides of it."""
        fast = [is_fast(each, self.best_us) for each in self.probe_us]
        return [place + 1 < len(fast) and fast[place] and fast[place + 1] for place in self.before]

    def enough(self) -> bool:
        """Whether there are enough runs at speed to count without the others."""
        return sum(self.at_speed()) >= needed_at_speed(len(self.before))


def needed_at_speed(runs: int, /) -> float:
    """How many of so many runs must be at speed for them to count without the others."""
    return max(min(MIN_AT_SPEED, runs), MIN_SHARE * runs)


def never_enough(slow: int, most_runs: int, /) -> bool:
    """Whether ``slow`` runs are too many for whatever else comes, up to ``most_runs`` in all.

    If they are too many among ``most_runs`` they are too many among fewer: the runs that may be slow grow
    with the number of runs.
    """
    return most_runs - slow < needed_at_speed(most_runs)


def is_fast(duration: float, best: float, /) -> bool:
    """Whether the work took no longer than at best, both in one unit."""
    return duration <= (1 + TOLERANCE) * best


def counted(samples: Sequence[float], speed: CoreSpeed | None, /) -> tuple[float, ...]:
    """Those of ``(n,)`` timed runs that count."""
    return tuple(compress(samples, counting(len(samples), speed)))


def counting(runs: int, speed: CoreSpeed | None, /) -> list[bool]:
    """For each timed run whether it counts: those at speed if they are enough, else all."""
    if speed is None or len(speed.before) != runs or not speed.enough():
        return [True] * runs
    return speed.at_speed()
