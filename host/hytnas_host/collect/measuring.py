"""The measuring stage: runs the jobs of a window on one device and makes every result durable."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hytnas_agent.records import (
    MeasurePass,
    ProcessResult,
)
from hytnas_host.collect.budget import DeviceBudget, Unfinished
from hytnas_host.collect.canaries import CanarySeries
from hytnas_host.collect.drift import CanaryWatch, DriftRule, Reading
from hytnas_host.collect.guard import DriftGuard
from hytnas_host.collect.jobs import JobJournal
from hytnas_host.collect.model import Model
from hytnas_host.collect.pace import Pace
from hytnas_host.collect.running import JobRunner, check_asked_for
from hytnas_host.collect.schedule import FEW_MODELS, Passes, Slot, schedule_round, slots_of
from hytnas_host.devices.base import Device

FETCHED_AT_ONCE = 500


@dataclass
class Tally:
    """What the measuring stage of one device has done so far, and how fast it is."""

    measured_jobs: int = 0
    canaries: int = 0
    fetched: int = 0
    disturbed: int = 0
    pace: Pace = field(default_factory=Pace)


class Measurer:
    """Measures windows of models on one device for one purpose.

    Parameters
    ----------
    device : Device
        With its lease acquired.
    journal, canary_journal : JobJournal
        Of the collection's purpose, and of the canary's series.
    passes : Passes
        Processes a model.
    canary : Model or None
        Measured once before the first timed process and then after every ``canary_every``.
    drift : DriftRule, optional
        What is done about a canary that has drifted.
    runtime : str or None
        The runtime to measure with; the device's first usable one by default.
    stop : threading.Event
        Once set, nothing more is begun.

    Attributes
    ----------
    tally : Tally
    guard : DriftGuard
    """

    def __init__(
        self,
        device: Device,
        journal: JobJournal,
        canary_journal: JobJournal,
        *,
        passes: Passes,
        canary: Model | None,
        canary_every: int,
        drift: DriftRule | None = None,
        runtime: str | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.tally = Tally()
        self._device = device
        self._journal = journal
        self._canary_journal = canary_journal
        self._passes = passes
        self._canary = canary
        self._canary_every = canary_every
        self._timed_since_canary = canary_every
        self._stop = stop or threading.Event()
        self._budget = DeviceBudget()
        self._runner = JobRunner(device, runtime, self._stop)
        rule = drift or DriftRule()
        self._series = (
            None if canary is None else CanarySeries(canary_journal, canary.sha256, tolerance=rule.tolerance)
        )
        self.guard = DriftGuard(
            device.name,
            journal,
            canary_journal,
            CanaryWatch(self._read_canary, self._reference_ms, tolerance=rule.tolerance),
            rule=rule,
            wait=lambda seconds: self._budget.late or self._stop.wait(seconds),
        )
        if self._series is not None:  # what an earlier call had not checked when it ended
            for slot, job_id in journal.timed_since(self._series.well_unix_s):
                self.guard.note(slot, job_id)

    @property
    def running(self) -> str | None:
        """The job that runs now, to be read by any thread."""
        return self._runner.running

    @property
    def measure_s(self) -> float:
        """For which jobs have run, in seconds."""
        return self._runner.measure_s

    def measure_window(
        self,
        models: Sequence[Model],
        rng: np.random.Generator,
        ended: Callable[[str], None],
        *,
        others_wait: Callable[[], bool] = lambda: False,
        budget: DeviceBudget | None = None,
    ) -> None:
        """Measure what the journal lacks of these models, in rounds of one process a model.

        A model that fails is a record: its remaining processes are skipped and the others go on. ``ended`` is
        called with a model's hash whenever one of its processes was measured. Where few models are left that
        need more than the least number of processes while ``others_wait``, they are left for later, so that
        the processes of one do not run back to back. So are models for which the time of the ``budget`` is
        too short.

        Raises
        ------
        DeviceError
            The device is lost, or its context changed, or it has changed speed for good and is to be given up
            then. What was stored stays.
        """
        self._budget = budget or DeviceBudget()
        by_hash = {model.sha256: model for model in models}
        with self._budget.window():
            previous = self._measure_rounds(by_hash, rng, ended, others_wait)
            self._measure_others(by_hash, previous, rng, ended)

    def _measure_rounds(
        self,
        by_hash: Mapping[str, Model],
        rng: np.random.Generator,
        ended: Callable[[str], None],
        others_wait: Callable[[], bool],
    ) -> str | None:
        """The timed processes, each round in an order of its own; the model that was measured last."""
        previous: str | None = None
        while not self._stop.is_set():
            for sha256 in schedule_round(self._wanted(by_hash), previous, rng):
                slot = self._next_timed(sha256)
                if slot is not None and not self._stop.is_set() and sha256 in self._wanted(by_hash):
                    self._measure_timed(by_hash[sha256], slot)
                ended(sha256)
                previous = sha256
            if self._may_leave(by_hash, others_wait):
                if self.guard.open:
                    self._check_canary()
                if self._may_leave(by_hash, others_wait):
                    break
        return previous

    def _wanted(self, models: Collection[str]) -> list[str]:
        """Those of the models that need another timed process, and that there is time for."""
        wanted = [sha256 for sha256 in models if self._next_timed(sha256) is not None]
        if not self._budget.limited:
            return wanted
        left = [self._unfinished(sha256) for sha256 in wanted]
        kept = self._budget.keep(left, done=len(models) - len(wanted))
        return [sha256 for sha256 in wanted if sha256 in kept]

    def _unfinished(self, sha256: str) -> Unfinished:
        left = self._passes.count - self._journal.progress(sha256, self._passes)
        return Unfinished(sha256, left, begun=bool(self._journal.timed_attempts(sha256)))

    def _next_timed(self, sha256: str) -> Slot | None:
        return self._journal.next_timed(sha256, self._passes.rule)

    def _may_leave(self, models: Collection[str], others_wait: Callable[[], bool]) -> bool:
        """Whether the rounds may end here: nothing is left, or little that has company later."""
        left = [slot for sha256 in self._wanted(models) if (slot := self._next_timed(sha256)) is not None]
        extra = all(slot.replicate >= self._passes.rule.min_processes for slot in left)
        return not left or (extra and len(left) < FEW_MODELS and others_wait())

    def _measure_others(
        self,
        by_hash: Mapping[str, Model],
        previous: str | None,
        rng: np.random.Generator,
        ended: Callable[[str], None],
    ) -> None:
        """The passes that are not timed, of the models whose timed processes are over."""
        for measure_pass in self._passes.others:
            wanted = [sha256 for sha256 in by_hash if self._next_timed(sha256) is None]
            for sha256 in schedule_round(wanted, previous, rng):
                slot = Slot(sha256, measure_pass, 0)
                while not (self._stop.is_set() or self._is_over(slot)):
                    if self._run(self._journal, by_hash[sha256], slot) is not None:
                        self.tally.measured_jobs += 1
                        self._budget.end_process()
                ended(sha256)
                previous = sha256

    def measure_canary(self) -> ProcessResult | None:
        """One process of the canary; None without one, or once stopped."""
        if self._canary is None or self._series is None:
            return None
        self._timed_since_canary = 0
        result = self._run(self._canary_journal, self._canary, self._series.next_slot)
        if result is not None:
            self.tally.canaries += 1
        return result

    def settle_canary(self) -> ProcessResult | None:
        """One process of the canary with all the attempts it is due; the last one, or None as above."""
        if self._series is None:
            return None
        slot = self._series.next_slot
        result = self.measure_canary()
        while result is not None and not self._series.over(slot):
            result = self.measure_canary()
        return result

    def fetch(self, models: Iterable[str]) -> None:
        """Store what the agent's journal holds of the models' next attempts; nothing is measured.

        That is what was measured while nobody listened: the host had died, or the connection. What was stored
        and could not be acknowledged any more is acknowledged now.

        Raises
        ------
        WrongAnswerError, ContextChangedError
            As of `JobRunner.store`; or a result was not asked for, or sent twice.
        DeviceError
        """
        self._device.acknowledge([*self._journal.job_ids, *self._canary_journal.job_ids])
        slots = [slot for sha256 in models for slot in slots_of(sha256, self._passes)]
        by_id = {self._journal.job_id(slot): slot for slot in slots if not self._is_over(slot)}
        ids = list(by_id)
        for start in range(0, len(ids), FETCHED_AT_ONCE):
            asked = ids[start : start + FETCHED_AT_ONCE]
            for result in self._device.results(asked):
                check_asked_for(self._device.name, asked, result)
                asked.remove(result.job_id)
                slot = by_id[result.job_id]
                self.tally.disturbed += self._runner.store(
                    self._journal, result.job_id, slot, result
                ).is_disturbed
                if self._canary is not None and slot.measure_pass == MeasurePass.TIMED:
                    self.guard.note(slot, result.job_id)
                self.tally.fetched += 1

    def canary_is_due(self) -> None:
        """Measure the canary before the next timed process, whenever the last one was."""
        self._timed_since_canary = self._canary_every

    def _is_over(self, slot: Slot) -> bool:
        return self._journal.settled(slot) or self._journal.given_up(slot.model_sha256)

    def _check_canary(self) -> None:
        """See whether the device has drifted; without a canary nothing can be known."""
        if self._canary is not None:
            self._timed_since_canary = 0
            self.guard.check()
            self._timed_since_canary = 0

    def _read_canary(self) -> Reading | None:
        """One process of the canary that is over, as those are that it is compared with.

        Where the time is limited a disturbed one is gone on with at the next look: in the meantime models are
        measured.
        """
        if self._series is None:
            return None
        slot = self._series.next_slot
        if self._budget.limited:
            self.measure_canary()
        else:
            self.settle_canary()
        reading = self._series.reading(slot)
        if reading is None and (failed := self._series.failure(slot)) is not None:
            self.guard.failed(failed)
        return reading

    def _reference_ms(self) -> list[float]:
        return [] if self._series is None else [reading.median_ms for reading in self._series.readings]

    def _measure_timed(self, model: Model, slot: Slot) -> None:
        if self._timed_since_canary >= self._canary_every:
            self._check_canary()
        self._timed_since_canary += 1
        result = self._run(self._journal, model, slot)
        if result is not None:
            self.tally.measured_jobs += 1
            if self._journal.settled(slot):
                self._budget.end_process()
            if self._canary is not None:
                self.guard.note(slot, result.job_id)

    def _run(self, journal: JobJournal, model: Model, slot: Slot) -> ProcessResult | None:
        """Run one process and store its result; None where it was stopped before it began."""
        # The fastest attempt at a canary is compared with the fastest of others: all of them run to the end.
        early = journal is not self._canary_journal
        result = self._runner.run(journal, model, slot, may_end_early=early)
        if result is not None:
            self.tally.disturbed += result.is_disturbed
            if slot.measure_pass == MeasurePass.TIMED:
                self.tally.pace.note(result, self._runner.ended_s, counts=journal is self._journal)
        return result
