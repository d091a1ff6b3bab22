"""Running one process of any pass on a device: its result is durable before anything else is done."""

import threading
import time

import msgspec

from hytnas_agent.records import DeviceContext, Outcome, ProcessResult
from hytnas_host.collect.errors import CollectError, ContextChangedError
from hytnas_host.collect.jobs import JobJournal
from hytnas_host.collect.model import Model
from hytnas_host.collect.schedule import Slot
from hytnas_host.devices.base import Device


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
        ContextChangedError
            The device is another one, or its context is another.
        CollectError
            It measured with other settings than it was asked to, so that the job would be asked for again
            without end.
        DeviceError
        StudyError
        """
        job = model.job(journal, slot, self._runtime, may_end_early=may_end_early)
        # Pushes and memory passes hold the machine, too: they would disturb another device's timed run on it.
        with self._device.quiet():
            if self._stop.is_set():
                return None
            _push(self._device, model)
            self.running = job.job_id
            started_s = time.monotonic()
            try:
                result = self._device.measure(job)
            finally:
                self.running = None
                self.ended_s = time.monotonic()
                self.measure_s += self.ended_s - started_s
        result = self.store(journal, slot, result)
        _check(self._device.name, journal, result)
        return result

    def store(self, journal: JobJournal, slot: Slot, result: ProcessResult) -> ProcessResult:
        """Make a result durable, then tell the agent that it may forget it; the result as it is stored."""
        result = _with_context(result, journal.context)
        journal.store(slot, result)
        self._device.acknowledge([result.job_id])
        return result


def _check(name: str, journal: JobJournal, result: ProcessResult) -> None:
    """Raise where a result does not count in its journal."""
    check_same_board(name, result.identity.device_id, journal.device_id)
    if result.context is not None:
        check_same_context(name, result.context, journal.context)
    asked = journal.settings
    if msgspec.structs.replace(result.settings, deadline_s=asked.deadline_s) != asked:
        raise CollectError(
            f"device {name!r} measured with other settings than it was asked to",
            f"its agent is another version: hytnas-profile device provision {name}",
        )


def _push(device: Device, model: Model) -> None:
    """Put a model and its reference into the device's spool, what is not there yet."""
    device.push(model.path, model.sha256, f".{model.format}")
    if model.reference is None:
        return
    assert model.inputs_file is not None
    assert model.outputs_file is not None
    device.push(model.inputs_file, model.reference.inputs_sha256, ".npz")
    device.push(model.outputs_file, model.reference.outputs_sha256, ".npz")


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


def differing_fields(one: DeviceContext, other: DeviceContext) -> str:
    """The fields in which two contexts differ, as ``name: value -> value``."""
    return ", ".join(
        f"{name}: {getattr(one, name)} -> {getattr(other, name)}"
        for name in one.__struct_fields__
        if getattr(other, name) != getattr(one, name)
    )
