"""The passes beside the timed one: profiles of operators, energy, latency under lasting load.

They are asked for on their own, of models that the study holds, and stored under purposes of their own: no
label is made of them, and none waits for them.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from hytnas_agent.records import (
    EXECUTION_WORDS,
    EXTRA_PASSES,
    Execution,
    MeasurePass,
    MeasureSettings,
    Outcome,
    ProcessResult,
    Verdict,
)
from hytnas_datasets.store import Purpose, Study
from hytnas_host.collect.errors import BoardsLostError, CollectError
from hytnas_host.collect.exporting import model_of
from hytnas_host.collect.jobs import JobJournal
from hytnas_host.collect.latency_worker import require_runtime
from hytnas_host.collect.measuring import Model, check_same_board, check_same_context, push_model
from hytnas_host.collect.schedule import Slot
from hytnas_host.collect.worker_threads import work_together
from hytnas_host.devices.base import Device
from hytnas_host.devices.errors import DeviceError
from hytnas_host.export.target import ModelKind
from hytnas_predictors.progress import Progress, ProgressFactory, SilentProgress


class PassCount(msgspec.Struct, frozen=True):
    """What one pass came to.

    Attributes
    ----------
    measure_pass : str
    measured, resumed : int
        Processes measured now, and those found stored already.
    outcomes : dict
        How many of both ended with each outcome.
    said : str
        What the device said where it could not do the pass.
    disturbed : int
        How many of those that went well something disturbed, after up to three attempts (of a lasting load
        after one).
    disturbed_by : tuple of str
        By what, each reason once.
    """

    measure_pass: MeasurePass
    measured: int
    resumed: int
    outcomes: dict[str, int]
    said: str = ""
    disturbed: int = 0
    disturbed_by: tuple[str, ...] = ()

    def describe(self) -> str:
        """One line for a person."""
        endings = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        resumed = f" ({self.resumed} were there already)" if self.resumed else ""
        said = f": {self.said}" if self.said else ""
        disturbed = f"; {self.disturbed} DISTURBED: {'; '.join(self.disturbed_by)}" if self.disturbed else ""
        return (
            f"{self.measure_pass}: {self.measured} processes measured{resumed}; {endings or 'none'}{said}"
            f"{disturbed}"
        )


class PassSummary(msgspec.Struct, frozen=True):
    """What measuring passes on a device came to, pass by pass, and how it ran them.

    Attributes
    ----------
    models : int
    device, device_id : str
        What the person calls it, and which board it is; the latter is empty where it was never reached.
    passes : tuple of PassCount
    executions : tuple of Execution
    lost : str
        Why it did not come to its end; empty where it did.
    """

    models: int
    device: str
    passes: tuple[PassCount, ...]
    executions: tuple[Execution, ...]
    device_id: str = ""
    lost: str = ""

    def describe(self) -> str:
        """A line for the models, one for each pass, and one where it was no real board, or was lost."""
        lines = [f"{self.models} models on {self.device}"]
        lines += [f"  {count.describe()}" for count in self.passes]
        if any(execution != "native" for execution in self.executions):
            lines.append(f"  {' and '.join(EXECUTION_WORDS[execution] for execution in self.executions)}")
        if self.lost:
            lines.append(f"  lost before the end: {self.lost}")
        return "\n".join(lines)


def labelled_models(study: Study, n: int | None = None) -> list[Model]:
    """The first ``n`` (all) models of the study with a latency, in the order they were sampled.

    Raises CollectError where there is none.
    """
    records = {
        stored.export.sha256: stored.export
        for stored in study.labels.all(Purpose.LATENCY)
        if stored.label.median_ms is not None
    }
    chosen = [model_of(study, record) for record in list(records.values())[:n]]
    if not chosen:
        raise CollectError(
            f"no model of {study.folder} has a latency",
            f"measure some first with: hytnas-profile collect latency --study {study.folder}",
        )
    return chosen


def measure_passes(
    study: Study,
    devices: Sequence[Device],
    models: Sequence[Model],
    passes: Mapping[MeasurePass, MeasureSettings],
    *,
    runtime: str | None = None,
    progress: ProgressFactory = SilentProgress,
) -> tuple[PassSummary, ...]:
    """Measure passes of models on each of the devices, each once, and store what they found.

    The devices work at the same time, and one that is lost does not end the others. Killed anywhere and
    called again, it goes on where it was. Where a device cannot do a pass at all (it has no energy meter, its
    runtime no profiler) the first record says so, and that pass is left.

    Parameters
    ----------
    study : Study
        It holds the models.
    devices : sequence of Device
    models : sequence of Model
    passes : mapping
        The settings of each pass; see ``hytnas_agent.passes.pass_settings``.
    runtime : str, optional
        The device's first usable one by default.

    Returns
    -------
    tuple of PassSummary
        In the order of the devices; see `check_lost` for those that were lost.

    Raises
    ------
    CollectError
        There is nothing to measure.
    DeviceError
        No device came to its end.
    StudyError
    """
    unknown = [name for name in passes if name not in EXTRA_PASSES]
    if not devices or not passes or unknown or not models:
        raise CollectError(
            f"there is nothing to measure ({len(models)} models, passes: {', '.join(passes) or 'none'})",
            f"Choose of {', '.join(EXTRA_PASSES)}",
        )
    stop = threading.Event()
    groups = list(_by_kind(study, models))
    names = ", ".join(device.name for device in devices)
    with progress(f"Measuring on {names}", len(models) * len(passes) * len(devices)) as bar:
        lock = threading.Lock()
        workers = [
            _Worker(study, device, groups, passes, runtime, bar, lock, stop, others=len(devices) > 1)
            for device in devices
        ]
        work_together(_Worker.work, workers, stop)
    errors = [worker.error for worker in workers if worker.error is not None]
    summaries = tuple(worker.summary() for worker in workers)
    if len(errors) == 1 == len(workers):
        raise errors[0]
    if len(errors) == len(workers):
        check_lost(summaries)
    return summaries


def check_lost(summaries: Sequence[PassSummary], /) -> None:
    """Raise BoardsLostError, an error of devices, where one was lost before it came to its end."""
    lost = [summary for summary in summaries if summary.lost]
    if lost:
        raise BoardsLostError(
            f"{len(lost)} of {len(summaries)} devices did not come to the end "
            f"({'; '.join(f'{summary.device}: {summary.lost}' for summary in lost)})",
            "see to that, then run the same command again: it goes on where it was",
        )


class _Tally:
    """What a pass has come to so far."""

    def __init__(self) -> None:
        self.measured = 0
        self.resumed = 0
        self.outcomes: Counter[str] = Counter()
        self.said = ""
        self.disturbed: list[Verdict] = []

    def count(self, name: MeasurePass) -> PassCount:
        return PassCount(
            name,
            self.measured,
            self.resumed,
            dict(self.outcomes),
            self.said,
            len(self.disturbed),
            tuple(dict.fromkeys(reason for verdict in self.disturbed for reason in verdict.reasons)),
        )


def _by_kind(study: Study, models: Sequence[Model]) -> Iterator[tuple[ModelKind, list[Model]]]:
    """The models by format and precision, on which their context depends."""
    precisions = {record.sha256: record.precision for record in study.exports.all()}
    groups: dict[ModelKind, list[Model]] = {}
    for model in models:
        groups.setdefault(ModelKind(model.format, precisions[model.sha256]), []).append(model)
    yield from groups.items()


@dataclass(eq=False)
class _Worker:
    """One device's part, in a thread of its own."""

    study: Study
    device: Device
    groups: Sequence[tuple[ModelKind, list[Model]]]
    passes: Mapping[MeasurePass, MeasureSettings]
    runtime: str | None
    bar: Progress
    lock: threading.Lock
    stop: threading.Event
    others: bool
    running: str | None = None
    error: DeviceError | CollectError | None = None
    device_id: str = ""
    executions: set[Execution] = field(default_factory=set)
    tallies: dict[MeasurePass, _Tally] = field(init=False)

    def __post_init__(self) -> None:
        self.tallies = {name: _Tally() for name in self.passes}

    @property
    def name(self) -> str:
        return self.device.name

    def work(self) -> None:
        """Measure everything that is left; an error of the device ends its own part alone."""
        models = sum(len(some) for _, some in self.groups)
        try:
            self.device.acquire(f"{', '.join(self.passes)}: {models} models for {self.study.folder.name}")
            try:
                for kind, some in self.groups:
                    for name, settings in self.passes.items():
                        self._measure(self._open_journal(name, settings, kind), name, some)
            finally:
                self.device.release()
        except (DeviceError, CollectError) as error:
            self.error = error
            with self.lock:
                if self.others:
                    self.bar.event(f"{self.name} is lost, the others go on: {error.what}")

    def summary(self) -> PassSummary:
        return PassSummary(
            sum(len(some) for _, some in self.groups),
            self.name,
            tuple(tally.count(name) for name, tally in self.tallies.items()),
            tuple(execution for execution in EXECUTION_WORDS if execution in self.executions),
            self.device_id,
            "" if self.error is None else str(self.error),
        )

    def _open_journal(self, name: MeasurePass, settings: MeasureSettings, kind: ModelKind) -> JobJournal:
        """The journal of a pass on the device as it is now."""
        with self.device.quiet():
            found = self.device.describe(
                runtime=self.runtime,
                threads=settings.threads,
                model_format=kind.format,
                precision=kind.precision,
            )
        require_runtime(self.name, found.context, kind.format)
        self.study.devices.add(found, name=self.name)
        self.device_id = found.identity.device_id
        self.executions.add(found.context.execution)
        journal = JobJournal(self.study, name, self.device_id, found.context, settings)
        self.device.acknowledge(journal.job_ids)
        return journal

    def _measure(self, journal: JobJournal, name: MeasurePass, models: Sequence[Model]) -> None:
        tally, unable = self.tallies[name], False
        for model in models:
            slot = Slot(model.sha256, name, 0)
            known = journal.settled(slot)
            while not (unable or self.stop.is_set() or journal.settled(slot)):
                result = self._run(journal, model, slot)
                if result is None:
                    return
                tally.measured += 1
                unable = result.outcome is Outcome.UNSUPPORTED
                if unable:
                    tally.said = result.message
            tally.resumed += known
            last = journal.last_attempts(model.sha256)
            tally.outcomes.update(result.outcome.value for result in last)
            tally.disturbed += [result.verdict for result in last if result.verdict and result.is_disturbed]
            with self.lock:
                self.bar.advance()

    def _run(self, journal: JobJournal, model: Model, slot: Slot) -> ProcessResult | None:
        """Run one process and store its result, or None once stopped.

        The same again gives what the agent's journal holds.
        """
        job = model.job(journal, slot, self.runtime)
        with self.device.quiet():
            if self.stop.is_set():
                return None
            push_model(self.device, model)
            self.running = job.job_id
            try:
                result = self.device.measure(job)
            finally:
                self.running = None
        found = result.context
        # A process that failed early says nothing of the runtime, or of the precision.
        early = result.outcome is not Outcome.OK and (
            found is not None
            and msgspec.structs.replace(found, precision=journal.context.precision) == journal.context
        )
        if found is None or early:
            result = msgspec.structs.replace(result, context=journal.context)
        journal.store(slot, result)
        self.device.acknowledge([result.job_id])
        _check_counts(self.name, journal, result)
        return result


def _check_counts(name: str, journal: JobJournal, result: ProcessResult) -> None:
    """Raise where a result does not count in its journal: it would be asked for again without end."""
    check_same_board(name, result.identity.device_id, journal.device_id)
    if result.context is not None:
        check_same_context(name, result.context, journal.context)
    asked = journal.settings
    if msgspec.structs.replace(result.settings, deadline_s=asked.deadline_s) != asked:
        raise CollectError(
            f"device {name!r} measured with other settings than it was asked to",
            f"its agent is another version: hytnas-profile device provision {name}",
        )
