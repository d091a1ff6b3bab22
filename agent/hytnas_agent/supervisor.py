"""One job, one fresh process: what it is given, and the record of how it ended."""

import os
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from hytnas_agent import __version__
from hytnas_agent.core_speed import counted
from hytnas_agent.deadline import Deadline
from hytnas_agent.device.cgroup import cgroup_limits
from hytnas_agent.device.files import meminfo_bytes
from hytnas_agent.device.gate import Gate
from hytnas_agent.device.health import health_snapshot
from hytnas_agent.device.identity import device_context, read_hardware
from hytnas_agent.device.probes import TimedRuns
from hytnas_agent.device.verdict import judge
from hytnas_agent.launcher import current_launcher
from hytnas_agent.records import (
    DeviceContext,
    DeviceIdentity,
    HealthSnapshot,
    MeasureJob,
    MeasurePass,
    MeasureSettings,
    Outcome,
    ProcessorTime,
    ProcessResult,
    Verdict,
)
from hytnas_agent.statistics import median
from hytnas_agent.worker.messages import Report, SpeedRequest, WorkerRequest
from hytnas_agent.worker_process import Cancellation, Ending, Watched, run_worker

CORE_SPEED_VARIABLE = "HYTNAS_AGENT_CORE_SPEED"
"""``off`` in the agent's environment leaves the core's speed alone: records are unverified for it."""

MEMORY_SHARE = 0.8
# Private mappings exceed what is resident: thread stacks, and arenas that are reserved but not touched.
DATA_SLACK_BYTES = 64 * 1024 * 1024
MAX_MESSAGE_CHARACTERS = 500


@dataclass(frozen=True)
class JobFiles:
    """Where a job's files are on this device."""

    model: Path
    inputs: Path | None = None
    outputs: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Those that there are."""
        return tuple(path for path in (self.model, self.inputs, self.outputs) if path is not None)


@dataclass(frozen=True)
class _Beginning:
    """The device and the clocks as a job begins; ``cpu_s`` is what its former children have spent."""

    health: HealthSnapshot
    unix_s: float
    monotonic_s: float
    cpu_s: float


def worker_cores(settings: MeasureSettings, allowed: Sequence[int]) -> tuple[int, ...]:
    """The cores of a job, one a thread: ``settings.core`` and those after it, else the last allowed ones.

    None where there are too few: threads that share a core wait for one another, which is no latency of the
    model and cannot be told from waiting for others.
    """
    ordered = sorted(allowed)
    if settings.threads > len(ordered):
        return ()
    if settings.core is None:
        return tuple(ordered[-settings.threads :])
    if settings.core not in ordered:
        return ()
    start = ordered.index(settings.core)
    return tuple((ordered[start:] + ordered[:start])[: settings.threads])


def run_job(
    job: MeasureJob,
    files: JobFiles,
    identity: DeviceIdentity,
    *,
    allowed_cores: Sequence[int],
    cancellation: Cancellation,
    gate: Gate | None = None,
    command: Sequence[str] | None = None,
) -> ProcessResult:
    """Measure one job in one fresh process and return how it ended, whatever happens to that process.

    Parameters
    ----------
    job : MeasureJob
        What to measure.
    files : JobFiles
        The files it needs.
    identity : DeviceIdentity
        This device.
    allowed_cores : sequence of int
        Cores that a worker may be pinned to.
    cancellation : Cancellation
        Ends the job from another thread.
    gate : Gate, optional
        Holds the process back until the board is fit, unless the job asks not to be, and hears how it ended;
        that wait, and the worker's own for a fast core, are no part of the job's time.
    command : sequence of str
        The worker's command line instead of the launcher's; the result descriptor is appended to it.
    """
    cores = worker_cores(job.settings, allowed_cores)
    refusal = current_launcher().refusal(job)
    held_back = gate is not None and bool(cores) and not refusal and _waits(job)
    waited = gate.wait(cores, cancellation.wait) if gate is not None and held_back else None
    before = health_snapshot(cores)
    began = _Beginning(before, time.time(), time.monotonic(), _children_cpu_s())
    watched = Watched(
        deadline=Deadline(job.settings.deadline_s),
        memory_limit_bytes=job.settings.memory_limit_bytes or _default_memory_limit_bytes(),
    )
    if refusal:
        ending = Ending(Report(Outcome.UNSUPPORTED, refusal))
    elif held_back and waited is None:
        ending = Ending(Report(Outcome.CANCELLED, "cancelled while waiting until the device is fit"))
    elif cores:
        speed = _speed_request(job, gate, before) if held_back else None
        if speed is not None:  # that wait is no part of the job's time
            watched.may_wait_s = speed.wait_s
            watched.deadline.extend(speed.wait_s)
        ending = run_worker(_request(job, files, cores, watched, speed), watched, cancellation, command)
    else:
        ending = Ending(Report(Outcome.UNSUPPORTED, _missing(job.settings, allowed_cores)))
    ending, verdict = _judged(job, ending, cores, began)
    if gate is not None:
        gate.remember(ending.report.health_after, verdict, ending.report.core_speed)
    result = _result_of(job, ending, began, identity, _context_of(job, watched))
    return msgspec.structs.replace(
        result,
        verdict=verdict,
        gate=waited,
        model_bytes=files.model.stat().st_size if files.model.exists() else None,
        health_after=result.health_after or health_snapshot(cores),
    )


def _judged(
    job: MeasureJob, ending: Ending, cores: Sequence[int], began: _Beginning
) -> tuple[Ending, Verdict | None]:
    """The ending, and what the device's health says of it."""
    report = ending.report
    if report.outcome is not Outcome.TIMEOUT:
        return ending, _verdict(job, report)
    report, verdict = _account_for(job, report, cores, began.health, _children_cpu_s() - began.cpu_s)
    return replace(ending, report=report), verdict


def _context_of(job: MeasureJob, watched: Watched) -> DeviceContext | None:
    """What the measurement depends on; None of a worker that did not get as far as its runtime."""
    if watched.runtime is None:
        return None
    return device_context(read_hardware(), watched.runtime, job.settings.threads, watched.precision)


def _result_of(
    job: MeasureJob,
    ending: Ending,
    began: _Beginning,
    identity: DeviceIdentity,
    context: DeviceContext | None,
) -> ProcessResult:
    """The record of what the worker reported; samples are kept of a process that went well alone."""
    report = ending.report
    well = report.outcome is Outcome.OK
    good = counted(report.samples_ms, report.core_speed) if well else ()
    return ProcessResult(
        job_id=job.job_id,
        model_sha256=job.model_sha256,
        measure_pass=job.measure_pass,
        outcome=report.outcome,
        settings=job.settings,
        started_unix_s=began.unix_s,
        wall_s=time.monotonic() - began.monotonic_s,
        agent_version=__version__,
        identity=identity,
        context=context,
        message=" ".join(report.message.split())[:MAX_MESSAGE_CHARACTERS],
        signal=ending.signal,
        load_ms=report.load_ms,
        cold_ms=report.cold_ms,
        warmup_ms=report.warmup_ms,
        steady=report.steady,
        samples_ms=report.samples_ms if well else (),
        median_ms=median(good) if good else None,
        peak_rss_bytes=report.peak_rss_bytes,
        parity=report.parity,
        involuntary_switches=report.involuntary_switches,
        health_before=report.health_before or began.health,
        health_after=report.health_after,
        processor_time=report.processor_time,
        core_speed=report.core_speed if well or report.outcome is Outcome.THROTTLED else None,
        profile=report.profile,
        energy=report.energy,
        sustained=report.sustained,
    )


def _missing(settings: MeasureSettings, allowed: Sequence[int]) -> str:
    """Why there are no cores for a job."""
    if settings.threads > len(allowed):
        return f"{settings.threads} threads, {len(allowed)} cores"
    return f"core {settings.core} is not one of {sorted(allowed)}"


def _waits(job: MeasureJob) -> bool:
    """Whether something is timed and may be held back for it."""
    return _can_be_disturbed(job) and job.gate is not False


def _can_be_disturbed(job: MeasureJob) -> bool:
    """Whether the device's state is in what is found: not in a count of instructions or a peak of memory."""
    return job.measure_pass != MeasurePass.MEMORY and not current_launcher().counts


def _verdict(job: MeasureJob, report: Report) -> Verdict | None:
    """Whether timed runs may stand in a label, or what a pass found be trusted; None of a peak of memory."""
    judged = (Outcome.OK, Outcome.THROTTLED)
    if job.measure_pass == MeasurePass.MEMORY or report.outcome not in judged:
        return None
    if current_launcher().counts:
        return Verdict("VALID")
    if report.health_before is None or report.health_after is None:
        return Verdict("VALID_UNVERIFIED", unverified=("health",))
    runs = TimedRuns(report.health_before, report.health_after, report.processor_time, report.core_speed)
    return judge(runs, job.measure_pass)


def _account_for(
    job: MeasureJob, report: Report, cores: Sequence[int], before: HealthSnapshot, cpu_s: float
) -> tuple[Report, Verdict | None]:
    """What to say of a process that ran out of time, over all of it: the worker was killed and says nothing.

    That it was late is no fact about the model where the device's health says that its pass was disturbed.
    """
    if not _can_be_disturbed(job):
        return report, None
    after = health_snapshot(cores)
    processor = ProcessorTime((after.monotonic_s or 0.0) - (before.monotonic_s or 0.0), cpu_s)
    verdict = judge(TimedRuns(before, after, processor), job.measure_pass)
    if not verdict.usable:
        message = f"{report.message}; the device was disturbed: {', '.join(verdict.reasons)}"
        report = msgspec.structs.replace(report, outcome=Outcome.THROTTLED, message=message)
    return msgspec.structs.replace(report, health_after=after, processor_time=processor), verdict


def _children_cpu_s() -> float:
    """Processor time of this process's children that have ended, theirs included."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _speed_request(job: MeasureJob, gate: Gate | None, now: HealthSnapshot) -> SpeedRequest | None:
    """Whether the core's speed is watched: that of one real core beside timed runs, unless told not to."""
    timed = job.measure_pass == MeasurePass.TIMED
    if gate is None or not timed or job.settings.threads > 1:
        return None
    if read_hardware().execution != "native" or os.environ.get(CORE_SPEED_VARIABLE) == "off":
        return None
    return SpeedRequest(gate.best_speed_us(now), gate.speed_patience_s, job.may_end_early is True)


def _request(
    job: MeasureJob,
    files: JobFiles,
    cores: tuple[int, ...],
    watched: Watched,
    speed: SpeedRequest | None,
) -> WorkerRequest:
    limit = watched.memory_limit_bytes
    return WorkerRequest(
        job,
        str(files.model),
        () if current_launcher().counts else cores,  # a count is the same on any core
        data_limit_bytes=limit + limit // 8 + DATA_SLACK_BYTES,
        agent_pid=os.getpid(),
        inputs_path=str(files.inputs) if files.inputs else None,
        outputs_path=str(files.outputs) if files.outputs else None,
        speed=speed,
    )


def _default_memory_limit_bytes() -> int:
    found = (meminfo_bytes("MemAvailable"), cgroup_limits().memory_left_bytes)
    available = min((each for each in found if each is not None), default=0)
    return int(MEMORY_SHARE * available) if available else 512 * 1024 * 1024
