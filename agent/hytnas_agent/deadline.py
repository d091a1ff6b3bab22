"""By when something must be done, on a clock that no correction of the time of day moves."""

import time
from collections.abc import Callable


class Deadline:
    """A point in time, so many seconds from its making.

    Parameters
    ----------
    seconds : float
    clock : callable
        Seconds of a clock that never goes back.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at_s = clock() + seconds

    @property
    def remaining(self) -> float:
        """Seconds until then; 0 from then on."""
        return max(0.0, self._at_s - self._clock())

    @property
    def expired(self) -> bool:
        """Whether it has been reached."""
        return self.remaining == 0.0

    def extend(self, seconds: float) -> None:
        """Put it off by so many seconds; fewer than 0 bring it forward."""
        self._at_s += seconds
