"""The core of every collection: devices opened and compared, then models prepared and measured on them."""

import math
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hytnas_agent.records import EXECUTION_WORDS, LatencyLabel
from hytnas_datasets.store import Agreement, Purpose, Study
from hytnas_host.collect.agreement import Comparison, check_devices, compare_canaries
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.jobs import JobJournal
from hytnas_host.collect.journals import Journals
from hytnas_host.collect.latency_worker import Group, LatencyWorker
from hytnas_host.collect.measuring import Measurer
from hytnas_host.collect.model import Model
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.collect.study_lock import collecting
from hytnas_host.collect.summary import CollectionSummary
from hytnas_host.collect.windows import PreparedWindows, Source
from hytnas_host.collect.worker_threads import work_together
from hytnas_host.collect.workers import Workers
from hytnas_host.devices.base import Device
from hytnas_host.devices.errors import DeviceError
from hytnas_host.export.target import ModelKind
from hytnas_predictors.progress import Progress, ProgressFactory, SilentProgress


@dataclass(frozen=True)
class Collected:
    """A finished collection.

    Attributes
    ----------
    purpose : str
    kind : ModelKind
        Of the models.
    groups : tuple of Group
        Devices and what was labelled on them.
    resumed_jobs : int
        Processes that were stored before.
    agreement : Agreement or None
    seconds : float
    limited : bool
        Whether its time was limited.
    without_canary : bool
        Whether a canary was wanted and could not be made.
    """

    purpose: str
    kind: ModelKind
    groups: tuple[Group, ...]
    resumed_jobs: int
    agreement: Agreement | None
    seconds: float
    limited: bool
    without_canary: bool

    @property
    def labels(self) -> dict[str, LatencyLabel]:
        """The label of each model by its hash; of a model measured on devices kept apart, any one's."""
        return {sha256: label for group in self.groups for sha256, label in group.journals.labels.items()}

    def summary(self, models: int, *, failures: Sequence[str], export_s: float) -> CollectionSummary:
        """The counts as a value; ``failures`` says of each model that could not be exported why not."""
        shares = tuple(worker.share() for group in self.groups for worker in group.workers)
        outcomes = Counter(
            label.outcome.value for group in self.groups for label in group.journals.labels.values()
        )
        unlabelled = models * len(self.groups) - outcomes.total() - len(failures)
        executions = {worker.context.execution for group in self.groups for worker in group.workers}
        return CollectionSummary(
            purpose=self.purpose,
            models=models,
            outcomes=dict(outcomes),
            failed_exports=len(failures),
            export_failure=failures[0] if failures else "",
            measured_jobs=sum(share.jobs for share in shares),
            resumed_jobs=self.resumed_jobs,
            canaries=sum(share.canaries for share in shares),
            export_s=export_s,
            measure_s=sum(share.measure_s for share in shares),
            seconds=self.seconds,
            devices=shares,
            agreement=self.agreement,
            kind=str(self.kind),
            disturbed_labels=sum(
                label.too_few_undisturbed for group in self.groups for label in group.journals.labels.values()
            ),
            left_out=max(unlabelled, 0) if self.limited else 0,
            executions=tuple(execution for execution in EXECUTION_WORDS if execution in executions),
            without_canary=self.without_canary,
        )


def collect(
    study: Study,
    devices: Sequence[Device],
    source: Source,
    options: MeasureOptions,
    *,
    purpose: str,
    progress: ProgressFactory = SilentProgress,
) -> Collected:
    """Measure every model of the source as the options say, whatever of it is not in the study yet.

    ``purpose`` is what the labels are for; results of one purpose never count for another. Several devices
    share the models, once their contexts and canaries are found to agree; with ``options.keep_apart`` each
    measures them all.

    Raises
    ------
    DevicesDifferError
        The devices cannot share a data set.
    CollectError
        No device is given, or one twice.
    DeviceError
        A device is busy or not reachable at the beginning, or none is left before the end.
    StudyError
        Somebody else measures into the study, or it cannot be written. What had been measured is in the
        agents' journals then and is fetched from there next time.
    """
    if not devices:
        raise CollectError("no device is given", "name at least one")
    with collecting(study, f"{purpose}: {source.models} models"):
        return _collect(study, devices, source, options, purpose=purpose, progress=progress)


def _collect(
    study: Study,
    devices: Sequence[Device],
    source: Source,
    options: MeasureOptions,
    *,
    purpose: str,
    progress: ProgressFactory,
) -> Collected:
    started_s, began_s = time.monotonic(), options.clock()
    reason = f"{purpose}: {source.models} models for {study.folder.name}"
    workers = [
        LatencyWorker(device, reason, options.runtime, options.settings, source.kind) for device in devices
    ]
    stop = threading.Event()
    try:
        work_together(lambda worker: worker.open(study), workers, stop)
        check_devices(workers, keep_apart=options.keep_apart)
        canaries = source.canary() if options.canary_every else []
        groups = _groups(
            study,
            workers,
            options,
            purpose=purpose,
            canary=canaries[0] if canaries else None,
            stop=stop,
        )
        for group in groups:
            _fetch(group, source.known, stop)
        resumed_jobs = sum(
            group.journals.count_settled(sha256) for group in groups for sha256 in source.known
        )
        total = source.models * options.passes.count * len(groups)
        over = sum(group.journals.progress(sha256) for group in groups for sha256 in source.known)
        names = ", ".join(worker.name for worker in workers)
        with progress(f"Measuring on {names}", total, min(over, total)) as bar:
            comparison = None if options.keep_apart else Comparison(study, groups[0], options)
            if comparison is not None:
                compare_canaries(comparison, workers, bar, stop)
            _measure(groups, source, options, comparison=comparison, bar=bar, stop=stop, began_s=began_s)
    finally:
        for worker in workers:
            worker.device.release()
    agreement = None if comparison is None else comparison.agreement()
    return Collected(
        purpose=purpose,
        kind=source.kind,
        groups=groups,
        resumed_jobs=resumed_jobs,
        agreement=agreement,
        seconds=time.monotonic() - started_s,
        limited=math.isfinite(options.budget_s),
        without_canary=bool(options.canary_every and not canaries),
    )


def _groups(
    study: Study,
    workers: Sequence[LatencyWorker],
    options: MeasureOptions,
    *,
    purpose: str,
    canary: Model | None,
    stop: threading.Event,
) -> tuple[Group, ...]:
    """The devices in one group, or each in its own, with measuring stages for all."""
    members = [(worker,) for worker in workers] if options.keep_apart else [tuple(workers)]
    groups = []
    for some in members:
        journals = Journals(
            study,
            purpose,
            some[0].context,
            options.settings,
            passes=options.passes,
            devices=[worker.device_id for worker in some],
            alone=options.keep_apart,
        )
        for worker in some:
            worker.measurer = Measurer(
                worker.device,
                journals.by_device[worker.device_id],
                JobJournal(study, Purpose.CANARY, worker.device_id, worker.context, options.settings),
                passes=options.passes,
                canary=canary,
                canary_every=options.canary_every,
                drift=options.drift,
                runtime=options.runtime,
                stop=stop,
            )
        groups.append(Group(some, journals, canary.sha256 if canary else None))
    return tuple(groups)


def _fetch(group: Group, known: Sequence[str], stop: threading.Event) -> None:
    """Have each device's agent send what it measured when the last call had ended already."""
    unfinished = [sha256 for sha256 in known if group.journals.done_on(sha256) is None]

    def fetch(worker: LatencyWorker) -> None:
        try:
            worker.measurer.fetch(unfinished)
        except DeviceError as error:
            worker.pending = error

    work_together(fetch, group.workers, stop)


def _measure(
    groups: Sequence[Group],
    source: Source,
    options: MeasureOptions,
    *,
    comparison: Comparison | None,
    bar: Progress,
    stop: threading.Event,
    began_s: float,
) -> None:
    """Everything that is left to measure."""
    workers = [worker for group in groups for worker in group.workers]
    ahead = 0 if all(worker.device.shares_processor for worker in workers) else len(workers)
    with PreparedWindows(source, ahead=ahead) as windows:
        Workers(groups, windows, options, comparison, bar, stop=stop, began_s=began_s).run()
