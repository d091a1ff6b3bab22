"""A fake clock that durations move on."""

from collections.abc import Iterable


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
