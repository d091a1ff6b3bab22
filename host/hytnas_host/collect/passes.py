"""The passes beside the timed one: profiles of operators, energy, latency under lasting load.

They are asked for on their own, of models that the study holds, and stored under purposes of their own: no
label is made of them, and none waits for them.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hytnas_agent.records import (
    EXECUTION_WORDS,
    EXTRA_PASSES,
    Execution,
    MeasurePass,
    MeasureSettings,
    Outcome,
    Verdict,
)
from hytnas_datasets.store import Purpose, Study
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.exporting import model_of
from hytnas_host.collect.jobs import JobJournal
from hytnas_host.collect.latency_worker import require_runtime
from hytnas_host.collect.model import Model
from hytnas_host.collect.pass_summary import PassCount, PassSummary, check_lost
from hytnas_host.collect.running import JobRunner
from hytnas_host.collect.schedule import Slot
from hytnas_host.collect.study_lock import collecting
from hytnas_host.collect.worker_threads import work_together
from hytnas_host.devices.base import Device
from hytnas_host.devices.errors import DeviceError
from hytnas_host.export.target import ModelKind
from hytnas_predictors.progress import Progress, ProgressFactory, SilentProgress


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
        Somebody else measures into the study, or it cannot be written.
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
    with (
        collecting(study, f"{', '.join(passes)}: {len(models)} models"),
        progress(f"Measuring on {names}", len(models) * len(passes) * len(devices)) as bar,
    ):
        lock = threading.Lock()
        workers = [
            PassWorker(study, device, groups, passes, runtime, bar, lock, stop, others=len(devices) > 1)
            for device in devices
        ]
        work_together(PassWorker.work, workers, stop)
    errors = [worker.error for worker in workers if worker.error is not None]
    summaries = tuple(worker.summary() for worker in workers)
    if len(errors) == 1 == len(workers):
        raise errors[0]
    if len(errors) == len(workers):
        check_lost(summaries)
    return summaries


class _PassTally:
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
class PassWorker:
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
    error: DeviceError | CollectError | None = None
    device_id: str = ""
    executions: set[Execution] = field(default_factory=set)
    runner: JobRunner = field(init=False)
    tallies: dict[MeasurePass, _PassTally] = field(init=False)

    def __post_init__(self) -> None:
        self.runner = JobRunner(self.device, self.runtime, self.stop)
        self.tallies = {name: _PassTally() for name in self.passes}

    @property
    def name(self) -> str:
        """What the person calls the device."""
        return self.device.name

    @property
    def running(self) -> str | None:
        """The job that runs now, to be read by any thread."""
        return self.runner.running

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
        """What its part came to."""
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
                result = self.runner.run(journal, model, slot)
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
