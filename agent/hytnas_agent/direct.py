"""``measure FILE``: the method without a server, under the same lease."""

import os
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from hytnas_agent.device.gate import Gate
from hytnas_agent.device.governor import PinnedGovernors, pinned_while
from hytnas_agent.device.identity import device_identity
from hytnas_agent.device.speed_memory import SpeedMemory
from hytnas_agent.errors import AgentError
from hytnas_agent.label import aggregate, least_disturbed, measured_again
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
from hytnas_agent.regular_file import file_hash
from hytnas_agent.runtimes.identity import model_identity
from hytnas_agent.supervisor import JobFiles, run_job
from hytnas_agent.worker_process import Cancellation


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
    inputs: Path | None = None,
    extra: Mapping[MeasurePass, MeasureSettings] | None = None,
    on_result: Callable[[int, int], None] | None = None,
) -> Measurement:
    """Measure a file in ``processes`` fresh processes one after another, and its memory in one more.

    A process that was disturbed (but for a lasting load) is measured again, up to three times in all and with
    five further attempts altogether; every attempt is in the results, and the least disturbed one in the
    label.

    Parameters
    ----------
    inputs : Path, optional
        An ``.npz`` of arrays called like the model's inputs; they are made up where it is not given.
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
    digest = _identity(path, kind)
    if inputs is not None:
        settings = msgspec.structs.replace(settings, inputs_sha256=_hash_of(inputs))
        extra = {
            name: msgspec.structs.replace(chosen, inputs_sha256=settings.inputs_sha256)
            for name, chosen in (extra or {}).items()
        }
    timed: list[tuple[MeasurePass, MeasureSettings]] = [(MeasurePass.TIMED, settings)]
    passes = [*timed * processes, (MeasurePass.MEMORY, settings), *(extra or {}).items()]
    allowed = tuple(sorted(os.sched_getaffinity(0)))
    lease = DeviceLease(state.lease)
    lease.acquire("hytnas-agent measure", path.name, os.getpid())
    cancellation, identity = Cancellation(), device_identity(state)
    gate = Gate(speeds=SpeedMemory(state.core_speeds))

    def run(measure_pass: MeasurePass, chosen: MeasureSettings, may_end_early: bool) -> ProcessResult:
        job = MeasureJob(
            secrets.token_hex(16),
            digest,
            kind,
            chosen,
            measure_pass,
            runtime,
            may_end_early=may_end_early,
        )
        files = JobFiles(path.absolute(), None if inputs is None else inputs.absolute())
        return run_job(job, files, identity, allowed_cores=allowed, cancellation=cancellation, gate=gate)

    try:
        with pinned_while(PinnedGovernors(state.held_governors)):
            attempts = _with_attempts(passes, run, on_result or (lambda _, __: None))
    finally:
        cancellation.close()
        lease.release()
    stands = [least_disturbed(of_one) for of_one in attempts]
    return Measurement(aggregate(stands), tuple(result for of_one in attempts for result in of_one))


def _hash_of(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError as error:
        raise AgentError(f"{path} cannot be read: {error.strerror or error}") from error


def _identity(path: Path, kind: ModelFormat) -> str:
    """As `model_identity`; raises AgentError."""
    try:
        os.fsencode(path.name).decode()
        return model_identity(path, kind)
    except UnicodeDecodeError as error:
        raise AgentError(f"the name {path.name!r} is not UTF-8", "Rename the file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise AgentError(f"{path}, or a file of its weights, cannot be read: {reason or error}") from error


def _with_attempts(
    passes: Sequence[tuple[MeasurePass, MeasureSettings]],
    run: Callable[[MeasurePass, MeasureSettings, bool], ProcessResult],
    on_result: Callable[[int, int], None],
) -> list[list[ProcessResult]]:
    """All attempts of each process; disturbed ones are measured again after the others."""
    attempts: list[list[ProcessResult]] = [[] for _ in passes]
    waiting = deque(range(len(passes)))
    total, done = len(passes), 0
    while waiting:
        number = waiting.popleft()
        again = measured_again(attempts[number], total - len(passes))
        attempts[number].append(run(*passes[number], again))
        if attempts[number][-1].asks_again and again:
            waiting.append(number)
            total += 1
        done += 1
        on_result(done, total)
    return attempts
