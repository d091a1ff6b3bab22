"""What the fixed work of `hytnas_agent.core_speed` took at best in the processes before, kept over restarts.

An agent that begins beside a neighbour would otherwise take the slow core for the device's best.
"""

import contextlib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

import msgspec

from hytnas_agent.core_speed import OWN_QUANTILE, CoreSpeed, is_fast
from hytnas_agent.device.identity import read_hardware
from hytnas_agent.records import HealthSnapshot
from hytnas_agent.regular_file import open_regular
from hytnas_agent.statistics import quantile
from hytnas_agent.whole_file import write_whole

REMEMBERED: Final = 32
BEST_QUANTILE: Final = 0.10
"""The best speed of the core is that of the best tenth of so many processes that saw it at its best.

Those that did not are not remembered, so that a spell during which it is slow all the time changes nothing. A
process saw it at its best if it is fast beside the lowest that the best has been, not beside the best of now:
else spells, each a little slower than the one before, would raise it without end.
"""

GIVEN_UP_AFTER: Final = 100
"""After so many processes in a row that never saw the best speed the device is slower for good."""

MAX_KINDS: Final = 16
MAX_FILE_BYTES: Final = 1 << 20


class KnownSpeed(msgspec.Struct):
    """The best times of the last processes, and how many in a row since have been slower.

    Attributes
    ----------
    bests_us : list of float
        Of the last processes that saw the core at its best, in order; microseconds.
    slower : int
        How many in a row since did not.
    lowest_us : float, optional
        The lowest that `best_us` has been of as many processes as are remembered; microseconds. None before
        there are so many: of few it may be a lucky one.
    """

    bests_us: list[Annotated[float, msgspec.Meta(gt=0)]] = []
    slower: int = 0
    lowest_us: Annotated[float, msgspec.Meta(gt=0)] | None = None

    @property
    def best_us(self) -> float:
        """What the work takes at best; microseconds."""
        return quantile(self.bests_us, BEST_QUANTILE)

    def add(self, own_us: float) -> None:
        """Take in the best time of a further process; microseconds."""
        if self.bests_us and not is_fast(own_us, self.lowest_us or self.best_us):
            self.slower += 1
            if self.slower < GIVEN_UP_AFTER:
                return
            self.bests_us, self.lowest_us = [], None
        self.slower = 0
        self.bests_us = [*self.bests_us, own_us][-REMEMBERED:]
        if len(self.bests_us) == REMEMBERED:
            self.lowest_us = min(self.best_us, self.lowest_us or self.best_us)


class SpeedMemory:
    """Best times by kind of core: a board may have slow and fast ones, and limits of their clock.

    Parameters
    ----------
    path : Path, optional
        The file that they are kept in; one that cannot be read or written is done without.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._kinds: dict[str, KnownSpeed] = {}
        if path is not None:
            with contextlib.suppress(OSError, ValueError), open_regular(path) as file:
                found = msgspec.json.decode(file.read(MAX_FILE_BYTES), type=dict[str, KnownSpeed])
                self._kinds = {kind: known for kind, known in found.items() if known.bests_us}

    def best_us(self, now: HealthSnapshot) -> float | None:
        """What the work takes at best on these cores as their clock is set; None before the first."""
        known = self._kinds.get(_kind(now))
        return known.best_us if known else None

    def add(self, after: HealthSnapshot, speed: CoreSpeed) -> None:
        """Take in what a process saw, disturbed or not."""
        kind = _kind(after)
        known = self._kinds.pop(kind, None) or KnownSpeed()
        # The first has looked for the best; the others were told it, so that only their own counts.
        known.add(quantile(speed.probe_us, OWN_QUANTILE) if known.bests_us else speed.best_us)
        self._kinds[kind] = known
        for oldest in list(self._kinds)[:-MAX_KINDS]:
            del self._kinds[oldest]
        if self._path is not None:
            with contextlib.suppress(OSError):
                write_whole(self._path, msgspec.json.encode(self._kinds), durable=False)  # learned again


def _kind(state: HealthSnapshot) -> str:
    cores = ", ".join(map(str, state.cores))
    clock = f"{state.max_clock_mhz} MHz at most, governor {state.governor}"
    return f"{read_hardware().cpu_model}, core {cores}, {clock}, numpy {_numpy_version()}"


@lru_cache(maxsize=1)
def _numpy_version() -> str:
    """Whose products are timed; without importing it."""
    import importlib.metadata  # noqa: PLC0415 (a megabyte that a server without jobs can do without)

    try:
        return importlib.metadata.version("numpy")
    except importlib.metadata.PackageNotFoundError:
        return "none"
