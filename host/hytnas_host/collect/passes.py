"""The passes beside the timed one: profiles of operators, energy, latency under lasting load.

They are asked for on their own, of models that the study holds, and stored under purposes of their own: no
label is made of them, and none waits for them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from hytnas_agent.passes import EXTRA_PASSES
from hytnas_agent.records import (
    EXECUTION_WORDS,
    Execution,
    MeasurePass,
    MeasureSettings,
    Outcome,
    ProcessResult,
)
from hytnas_datasets.store import Study
from hytnas_host.collect.board import require_runtime
from hytnas_host.collect.errors import CollectError
from hytnas_host.collect.exporting import model_of
from hytnas_host.collect.jobs import Journal
from hytnas_host.collect.measuring import Model, check_same_board, check_same_context, push_model
from hytnas_host.collect.schedule import Slot
from hytnas_host.devices.base import Device
from hytnas_host.export.target import ModelKind
from hytnas_host.progress import Progress, ProgressFactory, SilentProgress


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
    """

    measure_pass: MeasurePass
    measured: int
    resumed: int
    outcomes: dict[str, int]
    said: str = ""

    def describe(self) -> str:
        """One line for a person."""
        endings = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        resumed = f" ({self.resumed} were there already)" if self.resumed else ""
        said = f": {self.said}" if self.said else ""
        return f"{self.measure_pass}: {self.measured} processes measured{resumed}; {endings or 'none'}{said}"


class PassSummary(msgspec.Struct, frozen=True):
    """What measuring passes came to, pass by pass, and how the device ran them."""

    models: int
    device: str
    passes: tuple[PassCount, ...]
    executions: tuple[Execution, ...]

    def describe(self) -> str:
        """A line for the models, one for each pass, and one where it was no real board."""
        lines = [f"{self.models} models on {self.device}"]
        lines += [f"  {count.describe()}" for count in self.passes]
        if any(execution != "native" for execution in self.executions):
            lines.append(f"  {' and '.join(EXECUTION_WORDS[execution] for execution in self.executions)}")
        return "\n".join(lines)


def labelled_models(study: Study, n: int | None = None) -> list[Model]:
    """The first ``n`` (all) models of the study with a latency, in the order they were sampled.

    Raises CollectError where there is none.
    """
    records = {
        stored.export.sha256: stored.export
        for stored in study.stored_labels("latency")
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
    device: Device,
    models: Sequence[Model],
    passes: Mapping[MeasurePass, MeasureSettings],
    *,
    runtime: str | None = None,
    progress: ProgressFactory = SilentProgress,
) -> PassSummary:
    """Measure passes of models on a device, each once, and store what they found.

    Killed anywhere and called again, it goes on where it was. Where a device cannot do a pass at all (it has
    no energy meter, its runtime no profiler) the first record says so, and that pass is left.

    Parameters
    ----------
    study : Study
        It holds the models.
    device : Device
    models : sequence of Model
    passes : mapping
        The settings of each pass; see ``hytnas_agent.passes.pass_settings``.
    runtime : str, optional
        The device's first usable one by default.

    Raises
    ------
    CollectError
        There is nothing to measure.
    DeviceError, StudyError
    """
    unknown = [name for name in passes if name not in EXTRA_PASSES]
    if not passes or unknown or not models:
        raise CollectError(
            f"there is nothing to measure ({len(models)} models, passes: {', '.join(passes) or 'none'})",
            f"Choose of {', '.join(EXTRA_PASSES)}",
        )
    counts: dict[MeasurePass, _Tally] = {name: _Tally() for name in passes}
    executions: set[Execution] = set()
    device.acquire(f"{', '.join(passes)}: {len(models)} models for {study.folder.name}")
    try:
        with progress(f"Measuring on {device.name}", len(models) * len(passes)) as bar:
            for kind, some in _by_kind(study, models):
                for name, settings in passes.items():
                    journal, execution = _open_journal(
                        study, device, name, settings, kind=kind, runtime=runtime
                    )
                    executions.add(execution)
                    _measure(device, journal, name, some, runtime=runtime, tally=counts[name], bar=bar)
    finally:
        device.release()
    return PassSummary(
        len(models),
        device.name,
        tuple(tally.count(name) for name, tally in counts.items()),
        tuple(execution for execution in EXECUTION_WORDS if execution in executions),
    )


class _Tally:
    """What a pass has come to so far."""

    def __init__(self) -> None:
        self.measured = 0
        self.resumed = 0
        self.outcomes: Counter[str] = Counter()
        self.said = ""

    def count(self, name: MeasurePass) -> PassCount:
        return PassCount(name, self.measured, self.resumed, dict(self.outcomes), self.said)


def _by_kind(study: Study, models: Sequence[Model]) -> Iterator[tuple[ModelKind, list[Model]]]:
    """The models by format and precision, on which their context depends."""
    precisions = {record.sha256: record.precision for record in study.exports()}
    groups: dict[ModelKind, list[Model]] = {}
    for model in models:
        groups.setdefault(ModelKind(model.format, precisions[model.sha256]), []).append(model)
    yield from groups.items()


def _open_journal(
    study: Study,
    device: Device,
    name: MeasurePass,
    settings: MeasureSettings,
    *,
    kind: ModelKind,
    runtime: str | None,
) -> tuple[Journal, Execution]:
    """The journal of a pass on the device as it is now, and how the device runs."""
    with device.quiet():
        found = device.describe(
            runtime=runtime, threads=settings.threads, model_format=kind.format, precision=kind.precision
        )
    require_runtime(device.name, found.context, kind.format)
    study.add_device(found, name=device.name)
    journal = Journal(study, name, found.identity.device_id, found.context, settings)
    device.acknowledge(journal.job_ids)
    return journal, found.context.execution


def _measure(
    device: Device,
    journal: Journal,
    name: MeasurePass,
    models: Sequence[Model],
    *,
    runtime: str | None,
    tally: _Tally,
    bar: Progress,
) -> None:
    unable = False
    for model in models:
        slot = Slot(model.sha256, name, 0)
        known = journal.settled(slot)
        while not (unable or journal.settled(slot)):
            result = _run(device, journal, model, slot, runtime)
            tally.measured += 1
            unable = result.outcome is Outcome.UNSUPPORTED
            if unable:
                tally.said = result.message
        tally.resumed += known
        tally.outcomes.update(result.outcome.value for result in journal.last_attempts(model.sha256))
        bar.advance()


def _run(device: Device, journal: Journal, model: Model, slot: Slot, runtime: str | None) -> ProcessResult:
    """Run one process and store its result; the same again gives what the agent's journal holds."""
    job = model.job(journal, slot, runtime)
    with device.quiet():
        push_model(device, model)
        result = device.measure(job)
    found = result.context
    # A process that failed early says nothing of the runtime, or of the precision.
    early = result.outcome is not Outcome.OK and (
        found is not None
        and msgspec.structs.replace(found, precision=journal.context.precision) == journal.context
    )
    if found is None or early:
        result = msgspec.structs.replace(result, context=journal.context)
    journal.store(slot, result)
    device.acknowledge([result.job_id])
    _check_counts(device.name, journal, result)
    return result


def _check_counts(name: str, journal: Journal, result: ProcessResult) -> None:
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
