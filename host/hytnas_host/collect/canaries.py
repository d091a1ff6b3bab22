"""The canary's series on one device: its next process, and what those so far came to."""

import math

from hytnas_agent.label import ending, least_disturbed, settled
from hytnas_agent.records import MeasurePass, Outcome, ProcessResult
from hytnas_host.collect.drift import DRIFT_TOLERANCE, Reading, drift_limit, shift_of
from hytnas_host.collect.jobs import JobJournal
from hytnas_host.collect.schedule import Slot


class CanarySeries:
    """Processes of the canary, each with all the attempts that it is due.

    Each has the same number of attempts where something disturbs it, early or late in the series, so that
    the fastest of three is only ever compared with the fastest of three.

    Parameters
    ----------
    journal : JobJournal
        Of the canary, on one device.
    model_sha256 : str
    tolerance : float
        Ratio, less 1, by which a process that is well may differ from the others.
    """

    def __init__(self, journal: JobJournal, model_sha256: str, *, tolerance: float = DRIFT_TOLERANCE) -> None:
        self._tolerance = tolerance
        self._journal = journal
        self._model_sha256 = model_sha256

    @property
    def next_slot(self) -> Slot:
        """The process that is under way, or the one after the last that is over."""
        over = [replicate for replicate, attempts in self._attempts().items() if _over(attempts)]
        return Slot(self._model_sha256, MeasurePass.TIMED, max(over, default=-1) + 1)

    def over(self, slot: Slot) -> bool:
        """Whether a process needs no further attempt."""
        return _over(self._attempts().get(slot.replicate, []))

    def reading(self, slot: Slot) -> Reading | None:
        """What a process came to; None where it is not over, or did not go well."""
        return _reading(self._attempts().get(slot.replicate, []))

    def failure(self, slot: Slot) -> ProcessResult | None:
        """How a process that is over failed; None where it did not."""
        attempts = self._attempts().get(slot.replicate, [])
        return least_disturbed(attempts) if _over(attempts) and _reading(attempts) is None else None

    @property
    def readings(self) -> list[Reading]:
        """What the processes came to that went well, in order; discarded attempts are left out."""
        found = (_reading(attempts) for attempts in self._attempts().values())
        return [reading for reading in found if reading is not None]

    @property
    def well_unix_s(self) -> float:
        """When the last process started that came to what the others did; minus infinity without any.

        One that stands out is not known to be well: the collection may have ended before it was confirmed.
        """
        values_ms = [reading.median_ms for reading in self.readings]
        limit = drift_limit(values_ms, self._tolerance)
        well = (
            attempts[-1].started_unix_s
            for attempts in self._attempts().values()
            if (one := _reading(attempts)) and abs(shift_of([one.median_ms], values_ms)) <= limit
        )
        return max(well, default=-math.inf)

    def _attempts(self) -> dict[int, list[ProcessResult]]:
        return self._journal.timed_attempts(self._model_sha256)


def _over(attempts: list[ProcessResult]) -> bool:
    return settled([ending(result) for result in attempts])


def _reading(attempts: list[ProcessResult]) -> Reading | None:
    if not _over(attempts):
        return None
    result = least_disturbed(attempts)
    if result.outcome is not Outcome.OK or not result.median_ms:
        return None
    return Reading(tuple(attempt.job_id for attempt in attempts), result.median_ms)
