"""A limit on the time of a collection: it makes for fewer models, never for fewer repeats of one."""

import math
import time
from collections.abc import Callable


class TimeBudget:
    """How many more models may be begun in the time that is left, judged by how long the first ones took.

    The time counts from when this is made.

    Parameters
    ----------
    seconds : float
        Infinite where there is no limit.
    least : int
        So many models are taken however long they take.
    clock : callable
        Seconds of a steady clock.

    Attributes
    ----------
    seconds, least

    Examples
    --------
    >>> now = iter([0.0, 50.0])
    >>> budget = TimeBudget(100.0, least=2, clock=lambda: next(now))
    >>> budget.end(10)
    >>> budget.room(taken=12, under_way=2)
    8
    """

    def __init__(
        self, seconds: float = math.inf, *, least: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = seconds
        self.least = least
        self._clock = clock
        self._began_s = clock()
        self._ended = 0

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
        return max(self.least - taken, self._fitting() - under_way, 0)

    def _fitting(self) -> float:
        """How many models fit into the time that is left, at the pace so far."""
        if math.isinf(self.seconds):
            return math.inf
        spent_s = self._clock() - self._began_s
        left_s = max(self.seconds - spent_s, 0.0)
        if not self._ended:
            return math.inf if left_s else 0
        return math.floor(left_s * self._ended / spent_s) if spent_s else math.inf
