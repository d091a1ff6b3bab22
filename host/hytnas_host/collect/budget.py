"""A limit on the time of a collection: it makes for fewer models, never for fewer repeats of one."""

import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from hytnas_host.collect.schedule import FEW_MODELS

GRACE: Final = 0.5
"""Share of the time for which models that are begun may still be finished when it is over."""

ENDED_BEFORE: Final = 2
"""The pace is that of the processes so far and of so many more that took no time: few say little of it."""


class TimeBudget:
    """How many more models may be begun in the time that is left, judged by how long the first ones took.

    When the time is over no more models are begun, and those that are may
    be finished within half of it (``GRACE``).

    Parameters
    ----------
    seconds : float
        Infinite where there is no limit.
    least : int
        So many models are begun even where the last of them need the grace.
    clock : callable
        Seconds of a steady clock.
    began_s : float, optional
        From when the time counts, by that clock; from now on without.

    Attributes
    ----------
    seconds, least
    last_s : float
        When the grace is over.

    Examples
    --------
    >>> now = iter([0.0, 50.0])
    >>> budget = TimeBudget(100.0, clock=lambda: next(now))
    >>> budget.end(10)
    >>> budget.room(taken=12, under_way=2)
    8
    """

    def __init__(
        self,
        seconds: float = math.inf,
        *,
        least: int = 0,
        clock: Callable[[], float] = time.monotonic,
        began_s: float | None = None,
    ) -> None:
        self.seconds = seconds
        self.last_s = seconds * (1 + GRACE)
        self.least = least
        self._clock = clock
        self._began_s = clock() if began_s is None else began_s
        self._ended = 0

    @property
    def spent_s(self) -> float:
        """Seconds of the time that are over."""
        return self._clock() - self._began_s

    @property
    def left_s(self) -> float:
        """Seconds until the grace is over, too, and nothing more is done."""
        return max(self.last_s - self.spent_s, 0.0)

    def end(self, models: int = 1) -> None:
        """So many models were finished."""
        self._ended += models

    def room(self, *, taken: int, under_way: int) -> float:
        """How many more models may be begun: a whole number, or infinity.

        Parameters
        ----------
        taken : int
            Models that were begun, those of earlier calls included.
        under_way : int
            Those of them that are not finished.
        """
        spent_s = self.spent_s
        if spent_s >= self.seconds:
            return 0
        needed = min(self.least - taken, self._fitting(self.last_s, spent_s) - under_way)
        return max(needed, self._fitting(self.seconds, spent_s) - under_way, 0)

    def _fitting(self, limit_s: float, spent_s: float) -> float:
        """How many models fit into the time up to a limit, at the pace so far."""
        if math.isinf(limit_s) or not self._ended or not spent_s:
            return math.inf
        return math.floor((limit_s - spent_s) * self._ended / spent_s)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A model of which so many processes are ``left``, and whether any of it is measured."""

    sha256: str
    left: int
    begun: bool


class DeviceBudget:
    """Which of its models one device can finish in the time that is left, judged by its own pace.

    Parameters
    ----------
    budget : TimeBudget, optional
        No limit without.
    needed : callable
        How many of the models that the device has are needed for the least.

    Attributes
    ----------
    exhausted : bool
        Whether there was no time for a model when ``keep`` was last asked.
    """

    def __init__(self, budget: TimeBudget | None = None, *, needed: Callable[[], int] = lambda: 0) -> None:
        self._budget = budget or TimeBudget()
        self.exhausted = False
        self._needed = needed
        self._ended = ENDED_BEFORE
        self._busy_s = 0.0
        self._window_began_s = math.nan

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return math.isfinite(self._budget.seconds)

    @property
    def late(self) -> bool:
        """Whether nothing more is to be measured."""
        return not self._budget.left_s

    @contextmanager
    def window(self) -> Iterator[None]:
        """The time in which the device measures some models; its pace is that of these times."""
        self._window_began_s = self._budget.spent_s
        try:
            yield
        finally:
            self._busy_s += self._budget.spent_s - self._window_began_s

    def end_process(self) -> None:
        """A process needs no further attempt."""
        self._ended += 1

    def keep(self, models: Collection[Unfinished], *, done: int) -> set[str]:
        """Hashes of the models to go on with, in a ``window`` of which ``done`` others are finished.

        What is nearest to its end comes first. A model that is not begun is left out where it would not be
        finished when the time is over, and one that is begun where it would not be when the grace is. But the
        first few are begun whatever the pace, so that the processes of one do not run back to back, and the
        one nearest to its end is gone on with while there is any time.
        """
        spent_s = self._budget.spent_s
        busy_s = self._busy_s + spent_s - self._window_began_s
        pace = self._ended / busy_s if busy_s > 0 else math.inf
        in_time, with_grace = (
            pace * left_s if (left_s := limit_s - spent_s) > 0 else 0.0
            for limit_s in (self._budget.seconds, self._budget.last_s)
        )
        needed = self._needed() - done
        first = 0 if self._busy_s else FEW_MODELS - done
        kept, processes = set(), 0
        for place, model in enumerate(sorted(models, key=lambda each: (not each.begun, each.left))):
            processes += model.left
            if model.begun:
                keeps = with_grace and (processes <= with_grace or place == 0)
            else:
                fits = processes <= (with_grace if place < needed else in_time)
                keeps = in_time and (fits or place < first)
            if keeps:
                kept.add(model.sha256)
        self.exhausted = len(kept) < len(models)
        return kept
