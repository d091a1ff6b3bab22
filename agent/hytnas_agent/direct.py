"""``measure FILE``: the method without a server, under the same lease."""

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from hytnas_agent.device.gate import Gate
from hytnas_agent.device.identity import device_identity
from hytnas_agent.errors import AgentError
from hytnas_agent.lease import DeviceLease
from hytnas_agent.paths import StateFolder
from hytnas_agent.records import (
    LatencyLabel,
    MeasureJob,
    MeasurePass,
    MeasureSettings,
    ModelFormat,
    ProcessResult,
)
from hytnas_agent.statistics import aggregate
from hytnas_agent.supervisor import Cancellation, JobFiles, run_job


class Measurement(msgspec.Struct, frozen=True):
    """The label of a file and the processes it comes from."""

    label: LatencyLabel
    results: tuple[ProcessResult, ...]


def model_format(path: Path) -> ModelFormat:
    """The format that a file's name says it has.

    Raises
    ------
    AgentError
        For any other ending.
    """
    match path.suffix.lower():
        case ".onnx":
            return "onnx"
        case ".tflite":
            return "tflite"
        case suffix:
            raise AgentError(f"{path.name} ends in {suffix or 'nothing'}", "Give an .onnx or a .tflite file")


def measure_file(
    path: Path,
    state: StateFolder,
    settings: MeasureSettings,
    *,
    processes: int = 5,
    runtime: str | None = None,
    extra: Mapping[MeasurePass, MeasureSettings] | None = None,
    on_result: Callable[[int, int], None] | None = None,
) -> Measurement:
    """Measure a file in ``processes`` fresh processes one after another, and its memory in one more.

    Parameters
    ----------
    extra : mapping, optional
        Further passes with their settings, each in a process of its own after the others.
    on_result : callable, optional
        Called with the number of finished processes and of all.

    Raises
    ------
    AgentError
        If the file cannot be read or the device is in use.
    """
    kind = model_format(path)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AgentError(f"{path} cannot be read: {error.strerror}") from error
    timed: list[tuple[MeasurePass, MeasureSettings]] = [("timed", settings)]
    passes = [*timed * processes, ("memory", settings), *(extra or {}).items()]
    identity = device_identity(state)
    allowed = tuple(sorted(os.sched_getaffinity(0)))
    results: list[ProcessResult] = []
    lease = DeviceLease(state.lease)
    lease.acquire("hytnas-agent measure", path.name, os.getpid())
    cancellation, gate = Cancellation(), Gate()
    try:
        for number, (measure_pass, chosen) in enumerate(passes, start=1):
            job = MeasureJob(secrets.token_hex(16), digest, kind, chosen, measure_pass, runtime)
            results.append(
                run_job(
                    job,
                    JobFiles(path.absolute()),
                    identity,
                    allowed_cores=allowed,
                    cancellation=cancellation,
                    gate=gate,
                )
            )
            if on_result is not None:
                on_result(number, len(passes))
    finally:
        cancellation.close()
        lease.release()
    return Measurement(aggregate(results), tuple(results))
