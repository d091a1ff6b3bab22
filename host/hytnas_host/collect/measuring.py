"""The measuring stage: runs the jobs of a window on the device and makes every result durable."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from hytnas_agent.records import (
    DeviceContext,
    LatencyLabel,
    MeasureJob,
    ModelFormat,
    Outcome,
    ProcessResult,
    Reference,
)
from hytnas_agent.statistics import aggregate
from hytnas_datasets.store import Study
from hytnas_host.collect.jobs import Journal
from hytnas_host.collect.schedule import Slot, schedule_window
from hytnas_host.devices.base import Device
from hytnas_host.devices.errors import DeviceError
from hytnas_host.progress import Progress


@dataclass(frozen=True)
class Model:
    """A model file ready to be measured; ``reference`` names the files its outputs are held to."""

    sha256: str
    format: ModelFormat
    path: Path
    reference: Reference | None = None
    inputs_file: Path | None = None
    outputs_file: Path | None = None


@dataclass
class Tally:
    """What the measuring stage has done so far."""

    measured_jobs: int = 0
    resumed_jobs: int = 0
    canaries: int = 0
    measure_s: float = 0.0


class Measurer:
    """Measures windows of models on one device for one purpose.

    Parameters
    ----------
    study : Study
    device : Device
        With its lease acquired.
    journal, canary_journal : Journal
        Of the collection's purpose, and of the canary's series.
    processes : int
        Timed processes a model.
    canary : Model or None
        Measured once before the first timed process and then after every ``canary_every``.
    runtime : str or None
        The runtime to measure with; the device's first usable one by default.

    Attributes
    ----------
    tally : Tally
    labels : dict
        The label of each measured model by its hash.
    """

    def __init__(
        self,
        study: Study,
        device: Device,
        journal: Journal,
        canary_journal: Journal,
        *,
        processes: int,
        canary: Model | None,
        canary_every: int,
        runtime: str | None = None,
    ) -> None:
        self.tally = Tally()
        self.labels: dict[str, LatencyLabel] = {}
        self._study = study
        self._device = device
        self._journal = journal
        self._canary_journal = canary_journal
        self._processes = processes
        self._canary = canary
        self._canary_every = canary_every
        self._timed_since_canary = canary_every
        self._runtime = runtime

    def measure_window(self, models: Sequence[Model], rng: np.random.Generator, progress: Progress) -> None:
        """Measure what the study lacks of these models, and label each.

        A model that fails is a record: its remaining processes are skipped and the others go on.
        """
        by_hash = {model.sha256: model for model in models}
        slots = deque(schedule_window(list(by_hash), self._processes, rng))
        self.tally.resumed_jobs += sum(self._journal.settled(slot) for slot in slots)
        while slots:
            slot = slots.popleft()
            if self._journal.settled(slot):
                continue
            if not self._journal.given_up(slot.model_sha256):
                self._measure_slot(by_hash[slot.model_sha256], slot)
            if self._journal.settled(slot) or self._journal.given_up(slot.model_sha256):
                progress.advance()
            else:
                slots.append(slot)  # once more, at the end of the window
        for model in models:
            self._label(model)

    def _measure_slot(self, model: Model, slot: Slot) -> None:
        if slot.measure_pass == "timed":  # noqa: S105 (no password)
            self._measure_canary_if_due()
            self._timed_since_canary += 1
        self._run(self._journal, model, slot)
        self.tally.measured_jobs += 1

    def _measure_canary_if_due(self) -> None:
        if self._canary is None or self._timed_since_canary < self._canary_every:
            return
        self._timed_since_canary = 0
        number = self._canary_journal.next_replicate(self._canary.sha256)
        self._run(self._canary_journal, self._canary, Slot(self._canary.sha256, "timed", number))
        self.tally.canaries += 1

    def _run(self, journal: Journal, model: Model, slot: Slot) -> None:
        self._push(model)
        job = MeasureJob(
            job_id=journal.job_id(slot),
            model_sha256=model.sha256,
            format=model.format,
            settings=journal.settings,
            measure_pass=slot.measure_pass,
            runtime=self._runtime,
            reference=model.reference,
        )
        started_s = time.monotonic()
        if slot.measure_pass == "timed":  # noqa: S105 (no password)
            with self._device.quiet():
                result = self._device.measure(job)
        else:
            result = self._device.measure(job)
        self.tally.measure_s += time.monotonic() - started_s
        if result.context is None:  # a process that failed early cannot say it; the job ran in this one
            result = msgspec.structs.replace(result, context=journal.context)
        journal.store(slot, result)
        self._device.acknowledge([job.job_id])
        _check_context(result, journal.context)

    def _push(self, model: Model) -> None:
        self._device.push(model.path, model.sha256, f".{model.format}")
        if model.reference is None:
            return
        assert model.inputs_file is not None
        assert model.outputs_file is not None
        self._device.push(model.inputs_file, model.reference.inputs_sha256, ".npz")
        self._device.push(model.outputs_file, model.reference.outputs_sha256, ".npz")

    def _label(self, model: Model) -> None:
        results = self._journal.last_attempts(model.sha256)
        if not any(result.measure_pass == "timed" for result in results):  # noqa: S105 (no password)
            return
        known = any(result.context is not None for result in results)
        self.labels[model.sha256] = aggregate(results)
        self._study.add_label(
            self.labels[model.sha256],
            self._journal.purpose,
            self._journal.device_id,
            self._journal.context if known else None,
        )


def _check_context(result: ProcessResult, expected: DeviceContext) -> None:
    """Raise DeviceError where the device has changed under the collection; the result is stored as it is."""
    if result.context is None or result.outcome is not Outcome.OK or result.context == expected:
        return
    changed = [
        f"{name}: {getattr(expected, name)} -> {getattr(result.context, name)}"
        for name in expected.__struct_fields__
        if getattr(result.context, name) != getattr(expected, name)
    ]
    raise DeviceError(
        f"the device's context changed while measuring ({', '.join(changed)}), and labels of two contexts "
        "cannot be mixed",
        "restore it, then run the same command again",
    )
