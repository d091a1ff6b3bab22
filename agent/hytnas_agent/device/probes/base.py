"""What every probe is: it reads its part of a snapshot, may hold a measurement back, and judges it later."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from hytnas_agent.core_speed import CoreSpeed
from hytnas_agent.device.sources import Sources
from hytnas_agent.records import HealthSnapshot, MeasurePass, ProcessorTime


@dataclass(frozen=True)
class TimedRuns:
    """What is known of a process's timed runs: the board before and after, their processor time and speed."""

    before: HealthSnapshot
    after: HealthSnapshot
    processor: ProcessorTime | None = None
    speed: CoreSpeed | None = None


class Probe(ABC):
    """One thing that can disturb a measurement.

    Attributes
    ----------
    name : str
        What a verdict calls it where it is absent.
    patience_s : float
        How long a measurement is held back for it at most.
    passes : set of str
        Those it judges. Not a lasting load, unless it looks for the work of others: what heat and the supply
        do to the clock is the subject there.
    """

    name: ClassVar[str]
    patience_s: ClassVar[float] = 0.0
    passes: ClassVar[frozenset[MeasurePass]] = frozenset(
        {MeasurePass.TIMED, MeasurePass.PROFILE, MeasurePass.ENERGY}
    )

    @abstractmethod
    def read(self, sources: Sources, cores: Sequence[int]) -> dict[str, Any]:
        """This probe's fields of a `HealthSnapshot` now; None for what the device does not have.

        Parameters
        ----------
        sources : Sources
        cores : sequence of int
            Those that measure, at least one.
        """

    def hold(self, earlier: HealthSnapshot, now: HealthSnapshot) -> str:
        """Why a measurement should not begin now, with the state a moment ago; empty if it may."""
        del earlier, now
        return ""

    @abstractmethod
    def judge(self, runs: TimedRuns) -> str | None:
        """What disturbed the timed runs, in words; empty if nothing did, None where that cannot be known."""
