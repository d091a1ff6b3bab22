"""How much of the time a device's core is usable, and how long a collection still takes; pure.

A core that somebody shares makes a collection several times as long, and without a word about it a person
cannot tell it from one that hangs.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hytnas_agent.records import ProcessResult

SHARED_BELOW: Final = 0.85
"""A core that is usable for a smaller share of the time is said to be shared."""

MIN_WATCHED: Final = 5
"""Fewer processes say too little of the share."""

RECENT: Final = 60
"""So many of the last processes tell how fast the collection is."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """When a process ended, how long it took, how much of that was usable (None if nobody watched)."""

    at_s: float
    seconds: float
    usable_s: float | None
    valid: bool


def usable_s(result: ProcessResult, /) -> float | None:
    """For how long of a process its core was fast, in seconds; None where nobody watched it.

    While it was waited for it was slow; for the rest the runs at speed stand.
    """
    speed = result.core_speed
    if speed is None:
        return None
    at_speed = speed.at_speed()
    share = sum(at_speed) / len(at_speed) if at_speed else 0.0
    return share * max(0.0, result.wall_s - speed.waited_before_s - speed.waited_s)


class Pace:
    """What the processes of one device say so far; one thread notes, any may read.

    Attributes
    ----------
    early : int
        Processes that ended early.
    """

    def __init__(self) -> None:
        self.early = 0
        self._watched = 0
        self._watched_s = self._usable_s = 0.0
        self._recent: deque[_Ended] = deque(maxlen=RECENT)

    def note(self, result: ProcessResult, at_s: float, *, counts: bool = True) -> None:
        """Take in a timed process that ended at a time of any steady clock, in seconds.

        One of the canary ``counts`` for no model.
        """
        usable = usable_s(result)
        if usable is not None:
            self._watched += 1
            self._watched_s += result.wall_s
            self._usable_s += usable
        self.early += result.core_speed is not None and result.core_speed.ended_early
        self._recent.append(_Ended(at_s, result.wall_s, usable, counts and not result.is_disturbed))

    @property
    def usable_share(self) -> float | None:
        """Share of the time of the watched processes in which the core was fast; None of too few."""
        if self._watched < MIN_WATCHED or self._watched_s <= 0:
            return None
        return self._usable_s / self._watched_s

    @property
    def shared(self) -> bool:
        """Whether so much of the time was not usable that a person should know."""
        share = self.usable_share
        return share is not None and share < SHARED_BELOW

    @property
    def recent_share(self) -> float | None:
        """As ``usable_share``, of the last processes only."""
        recent = tuple(self._recent)
        known = [(each.usable_s, each.seconds) for each in recent if each.usable_s is not None]
        total_s = sum(seconds for _, seconds in known)
        return sum(usable for usable, _ in known) / total_s if len(known) >= MIN_WATCHED and total_s else None

    @property
    def valid_a_second(self) -> float | None:
        """Valid processes a second among the last ones; None before there is one."""
        recent = tuple(self._recent)
        if len(recent) < MIN_WATCHED:
            return None
        seconds = recent[-1].at_s - recent[0].at_s + recent[0].seconds
        valid = sum(each.valid for each in recent)
        return valid / seconds if valid and seconds > 0 else None


def describe_share(share: float, /) -> str:
    """What a share of usable time is called."""
    return f"the core is shared: {share:.0%} of the time usable".replace("%", " %")


def describe_shares(paces: dict[str, Pace], /) -> str:
    """What a person is told of devices (by name) whose cores are shared; empty if none is."""
    shares = {name: pace.recent_share for name, pace in paces.items() if pace.shared}
    return "; ".join(
        (f"{name}: " if len(paces) > 1 else "") + describe_share(share)
        for name, share in shares.items()
        if share is not None and share < SHARED_BELOW
    )


def describe_left(paces: Iterable[Pace], /, processes: int, *, limit_s: float = math.inf) -> str:
    """How long a collection still takes; empty where that is not known.

    Parameters
    ----------
    paces : iterable of Pace
        Of its devices.
    processes : int
        How many valid processes it still needs at least.
    limit_s : float
        What is left of its time.
    """
    rate = sum(pace.valid_a_second or 0.0 for pace in paces)
    left_s = processes / rate if rate else math.inf
    if processes <= 0 or math.isinf(min(left_s, limit_s)):
        return ""
    if left_s <= limit_s:
        return f"about {_duration(left_s)} left"
    return "the time for measuring is over" + (f" in {_duration(limit_s)}" if limit_s else "")


def _duration(seconds: float) -> str:
    """Minutes, or hours from two on; at least one minute."""
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
