"""Boards that answer by rule, behind the interface of a device: they die, come back, differ and hang."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from hytnas_agent.protocol import DeviceDescription
from hytnas_agent.records import (
    DeviceContext,
    DeviceIdentity,
    HealthSnapshot,
    MeasureJob,
    Outcome,
    ProcessResult,
)
from hytnas_datasets.store import ExportRecord, Study
from hytnas_host.collect.collection import Collected, collect
from hytnas_host.collect.model import Model
from hytnas_host.collect.options import MeasureOptions
from hytnas_host.collect.windows import Source
from hytnas_host.devices.base import Method
from hytnas_host.devices.errors import DeviceBusyError, DeviceError
from hytnas_host.devices.quiet import quiet_machine

CONTEXT = DeviceContext(
    "Pi", "bcm", "aarch64", 4, 2**30, "Debian", "6.1", "onnxruntime", "1.23", "x", 1, "performance"
)
CANARY = f"{999:064x}"
OPTIONS = MeasureOptions(seed=1, processes=3, window=4, canary_every=10, rejoin_pauses_s=(0.01, 0.02))


class ScriptedBoard:
    """A board whose journal outlives its deaths, as an agent's does.

    Parameters
    ----------
    name : str
    context : DeviceContext
    median_ms : float
        Of every model, the canary included.
    shares_processor : bool
        Then ``quiet`` is this machine's.

    Attributes
    ----------
    measured : list of MeasureJob
        Those that were run, in order; a replayed one is not run.
    delivered : int
        Answers to ``measure``.
    dead : bool
        Nothing is answered.
    dies_at : int or None
        The job that is run, counted over all, but whose result does not get through.
    spread : float
        Share by which the latencies of five jobs in a row grow from one to the next.
    returns : callable
        Asked at each attempt to reach a dead board; true brings it back.
    hang : threading.Event or None
        ``measure`` waits for it, or for its job to be cancelled; ``hanging`` is set meanwhile.
    """

    def __init__(
        self,
        name: str,
        *,
        context: DeviceContext = CONTEXT,
        median_ms: float = 100.0,
        shares_processor: bool = False,
    ) -> None:
        self.name = name
        self.method = Method()
        self.shares_processor = shares_processor
        self.identity = DeviceIdentity(f"id-{name}", name)
        self.context = context
        self.median_ms = median_ms
        self.spread = 0.001
        self.journal: dict[str, ProcessResult] = {}
        self.measured: list[MeasureJob] = []
        self.acknowledged: list[str] = []
        self.spool: set[str] = set()
        self.lease: str | None = None
        self.dead = False
        self.dies_at: int | None = None
        self.returns: Callable[[], bool] = lambda: False
        self.hang: threading.Event | None = None
        self.hanging = threading.Event()
        self.cancelled: set[str] = set()
        self.outcome: Callable[[MeasureJob], Outcome] = lambda job: Outcome.OK

    def describe(self, **asked: object) -> DeviceDescription:
        self._reach()
        return DeviceDescription(self.identity, self.context, (), HealthSnapshot(0.0), "0.1.0")

    def acquire(self, reason: str) -> None:
        if self.dead and self.returns():
            self.dead = False
        self._reach()
        if self.lease is not None and self.lease != reason:
            raise DeviceBusyError(f"device {self.name!r} is held: {self.lease}", "wait")
        self.lease = reason

    def release(self) -> None:
        self.lease = None

    def push(self, file: Path, sha256: str, suffix: str) -> None:
        self._reach()
        self.spool.add(f"{sha256}{suffix}")

    def measure(self, job: MeasureJob, on_progress: Callable[[str], None] | None = None) -> ProcessResult:
        self._reach()
        if self.lease is None or f"{job.model_sha256}.{job.format}" not in self.spool:
            raise DeviceError(f"device {self.name!r}: no lease, or not spooled", "acquire, push")
        if on_progress is not None:
            on_progress("started")
        if job.job_id not in self.journal:
            self.measured.append(job)
            self.journal[job.job_id] = self._result(job, self._run(job))
            if len(self.measured) == self.dies_at:
                self.dead = True
                self._reach()
        return self.journal[job.job_id]

    def results(self, job_ids: Sequence[str]) -> list[ProcessResult]:
        self._reach()
        return [self.journal[job_id] for job_id in job_ids if job_id in self.journal]

    def acknowledge(self, job_ids: list[str]) -> None:
        self._reach()
        self.acknowledged += job_ids

    def cancel(self, job_id: str) -> None:
        self.cancelled.add(job_id)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        if self.shares_processor:
            with quiet_machine():
                yield
        else:
            yield

    def close(self) -> None:
        self.release()

    def _reach(self) -> None:
        if self.dead:
            raise DeviceError(f"device {self.name!r} not reachable", "look at it")

    def _run(self, job: MeasureJob) -> Outcome:
        time.sleep(0.001)  # lets the other boards have their turn
        while self.hang is not None and not self.hang.wait(0.01):
            self.hanging.set()
            if job.job_id in self.cancelled:
                return Outcome.CANCELLED
        return self.outcome(job)

    def _result(self, job: MeasureJob, outcome: Outcome) -> ProcessResult:
        value = self.median_ms * (1 + self.spread * (len(self.measured) % 5))
        ok = outcome is Outcome.OK
        return ProcessResult(
            job.job_id,
            job.model_sha256,
            job.measure_pass,
            outcome,
            job.settings,
            float(len(self.measured)),
            0.1,
            "0.1.0",
            self.identity,
            self.context,
            samples_ms=(value,) * 3 if ok else (),
            median_ms=value if ok else None,
            peak_rss_bytes=1000,
        )


def taking(result: ProcessResult, median_ms: float, **changes: object) -> ProcessResult:
    """A result whose runs took so long instead."""
    return msgspec.structs.replace(result, samples_ms=(median_ms,) * 3, median_ms=median_ms, **changes)


class Bar:
    """A progress bar that remembers."""

    def __init__(self, description: str, total: int, done: int = 0) -> None:
        self.description, self.total, self.done, self.begun = description, total, done, done
        self.notes: list[str] = []
        self.events: list[str] = []

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def advance(self, steps: int = 1) -> None:
        self.done += steps

    def note(self, text: str) -> None:
        self.notes.append(text)

    def event(self, text: str) -> None:
        self.events.append(text)


def model(number: int, folder: Path) -> Model:
    sha256 = f"{number:064x}"
    return Model(sha256, "onnx", folder / f"{sha256}.onnx")


def run(
    study: Study,
    boards: Sequence[ScriptedBoard],
    count: int,
    options: MeasureOptions = OPTIONS,
    *,
    purpose: str = "latency",
    **more,
) -> Collected:
    """A collection of ``count`` models, all of which the study knows already."""
    models = [model(i, study.folder) for i in range(count)]
    canary = [model(999, study.folder)] if options.canary_every else []
    for each in models + canary:
        study.exports.add(ExportRecord(each.sha256, "onnx", each.path.name, 1))
    windows = [models[i : i + options.window] for i in range(0, count, options.window)]
    source = Source(
        windows=[lambda chunk=chunk: chunk for chunk in windows],
        models=count,
        known=[each.sha256 for each in models],
        canary=lambda: canary,
        cancel=lambda: None,
    )
    return collect(study, boards, source, options, purpose=purpose, **more)


def other(context: DeviceContext = CONTEXT, **changes: object) -> DeviceContext:
    return msgspec.structs.replace(context, **changes)
