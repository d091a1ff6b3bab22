"""Running one process of any pass on a device: its result is checked, then durable before anything else."""

import contextlib
import threading
import time
from collections.abc import Collection

import msgspec
from msgspec import UNSET

from hytnas_agent.label import alike_but_for_deadline, plausible
from hytnas_agent.records import DeviceContext, MeasureSettings, Outcome, ProcessResult
from hytnas_host.collect.errors import ContextChangedError, WrongAnswerError
from hytnas_host.collect.jobs import JobJournal
from hytnas_host.collect.model import Model
from hytnas_host.collect.schedule import Slot
from hytnas_host.devices.base import Device
from hytnas_host.devices.errors import DeviceError


class JobRunner:
    """Runs the jobs of one device, timed or not, one after the other.

    Parameters
    ----------
    device : Device
        With its lease acquired.
    runtime : str or None
        The runtime to measure with; the device's first usable one by default.
    stop : threading.Event
        Once set, nothing more is begun.

    Attributes
    ----------
    running : str or None
        The job that runs now, to be read by any thread.
    measure_s : float
        For which jobs have run, in seconds.
    ended_s : float
        When the last one ended, by the monotonic clock.
    """

    def __init__(self, device: Device, runtime: str | None, stop: threading.Event) -> None:
        self.running: str | None = None
        self.measure_s = self.ended_s = 0.0
        self._device = device
        self._runtime = runtime
        self._stop = stop

    def run(
        self, journal: JobJournal, model: Model, slot: Slot, *, may_end_early: bool = False
    ) -> ProcessResult | None:
        """Run one process and store its result; None where it was stopped before it began.

        The same job again gives what the agent's journal holds of it.

        Raises
        ------
        WrongAnswerError
            As of `store`.
        ContextChangedError
            The device is another one, or its context is another. A result of the latter is stored: it counts
            in that context.
        DeviceError
        StudyError
        """
        job = model.job(journal, slot, self._runtime, may_end_early=may_end_early)
        # Pushes and memory passes hold the machine, too: they would disturb another device's timed run on it.
        with self._device.quiet():
            if self._stop.is_set():
                return None
            _push(self._device, model, journal.settings)
            self.running = job.job_id
            started_s = time.monotonic()
            try:
                result = self._device.measure(job)
            finally:
                self.running = None
                self.ended_s = time.monotonic()
                self.measure_s += self.ended_s - started_s
        result = self.store(journal, job.job_id, slot, result)
        if result.context is not None:
            check_same_context(self._device.name, result.context, journal.context)
        return result

    def store(self, journal: JobJournal, job_id: str, slot: Slot, result: ProcessResult) -> ProcessResult:
        """Make the result of a job durable, then tell the agent that it may forget it; it, as it is stored.

        What cannot have been measured is INTERNAL and says why. What does not answer the job is not stored:
        the study notes why, and asks under another id.

        Raises
        ------
        WrongAnswerError
            It is the result of another job, model, pass or settings; what differs is named.
        ContextChangedError
            It is of another device.
        """
        result = _with_context(plausible(result, arriving=True), journal.context)
        try:
            _check_answer(self._device.name, journal, job_id, slot, result)
        except DeviceError as error:
            journal.refuse(job_id, error.what)
            with contextlib.suppress(DeviceError):
                self._device.acknowledge([job_id])
            raise
        stored = journal.store(slot, result)
        self._device.acknowledge([job_id])
        return stored


def _check_answer(name: str, journal: JobJournal, job_id: str, slot: Slot, result: ProcessResult) -> None:
    """Raise where a result does not answer the job."""
    differing = [
        f"{what} {_short(asked)} -> {_short(found)}"
        for what, asked, found in (
            ("job", job_id, result.job_id),
            ("model", slot.model_sha256, result.model_sha256),
            ("pass", slot.measure_pass, result.measure_pass),
        )
        if asked != found
    ]
    asked_for, found_with = (alike_but_for_deadline(each) for each in (journal.settings, result.settings))
    if asked_for != found_with:
        differing.append(f"settings {differing_fields(asked_for, found_with)}")
    if differing:
        raise _wrong_answer(name, ", ".join(differing))
    check_same_board(name, result.identity.device_id, journal.device_id)


def check_asked_for(name: str, job_ids: Collection[str], result: ProcessResult) -> None:
    """Raise WrongAnswerError where a result is of none of these jobs."""
    if result.job_id not in job_ids:
        raise _wrong_answer(name, f"job {_short(result.job_id)}, which was not asked for or is sent twice")


def _wrong_answer(name: str, differing: str) -> WrongAnswerError:
    return WrongAnswerError(
        f"device {name!r} answered with the result of something else ({differing}), which is not stored",
        f"its agent is damaged or of another version: end it there with hytnas-agent stop, or install this "
        f"host's with: hytnas-profile device provision {name}",
    )


def _short(text: str) -> str:
    return text[:12]


def _push(device: Device, model: Model, settings: MeasureSettings) -> None:
    """Put a model and its reference, or given inputs, into the device's spool, what is not there yet."""
    for file, sha256 in model.files:
        device.push(file, sha256, f".{model.format}" if file == model.path else ".npz")
    if model.reference is None and settings.inputs_sha256 is not UNSET and model.inputs_file is not None:
        device.push(model.inputs_file, settings.inputs_sha256, ".npz")


def _with_context(result: ProcessResult, expected: DeviceContext) -> ProcessResult:
    """A process that failed early says nothing of the runtime or precision: the job ran in ``expected``."""
    if result.outcome is Outcome.OK:
        return result
    found = result.context
    if found is None or msgspec.structs.replace(found, precision=expected.precision) == expected:
        return msgspec.structs.replace(result, context=expected)
    return result


def check_same_board(name: str, found: str, expected: str) -> None:
    """Raise ContextChangedError, naming both device ids."""
    if found != expected:
        raise ContextChangedError(
            f"device {name!r} is another one than it was ({expected} -> {found})",
            "find out which device has its address now, then run the same command again",
        )


def check_same_context(name: str, found: DeviceContext, expected: DeviceContext) -> None:
    """Raise ContextChangedError, naming the fields that differ."""
    if found == expected:
        return
    raise ContextChangedError(
        f"the context of device {name!r} changed while measuring ({differing_fields(expected, found)}), and "
        "labels of two contexts cannot be mixed",
        "restore it, then run the same command again",
    )


def differing_fields(one: msgspec.Struct, other: msgspec.Struct) -> str:
    """The fields in which two structs of one type differ, as ``name: value -> value``."""
    return ", ".join(
        f"{name}: {getattr(one, name)} -> {getattr(other, name)}"
        for name in one.__struct_fields__
        if getattr(other, name) != getattr(one, name)
    )
