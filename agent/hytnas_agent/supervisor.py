"""One job, one fresh process: start it, watch it, kill its group if need be, and say how it ended.

The watch looks four times a second at one small file of /proc and sleeps otherwise, so that nothing but the
worker runs during a timed run.
"""

import contextlib
import os
import re
import resource
import select
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

from hytnas_agent import __version__
from hytnas_agent.core_speed import counted
from hytnas_agent.device.files import meminfo_bytes, read_counters, read_text
from hytnas_agent.device.gate import Gate
from hytnas_agent.device.health import health_snapshot
from hytnas_agent.device.identity import device_context, read_hardware
from hytnas_agent.device.probes import TimedRuns
from hytnas_agent.device.verdict import judge
from hytnas_agent.launcher import Launch, current_launcher
from hytnas_agent.protocol import RuntimeInfo
from hytnas_agent.records import (
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
from hytnas_agent.worker.messages import Report, SpeedRequest, WorkerMessage, WorkerRequest

CORE_SPEED_VARIABLE = "HYTNAS_AGENT_CORE_SPEED"
"""``off`` in the agent's environment leaves the core's speed alone: records are unverified for it."""

WATCH_INTERVAL_S = 0.25
MAX_RESULT_BYTES = 2 * 1024 * 1024
MEMORY_SHARE = 0.8
# Private mappings exceed what is resident: thread stacks, and arenas that are reserved but not touched.
DATA_SLACK_BYTES = 64 * 1024 * 1024
MAX_MESSAGE_CHARACTERS = 500
WORKER = ("-P", "-m", "hytnas_agent.worker")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_OUT_OF_MEMORY = re.compile(r"MemoryError|bad_alloc|[Cc]annot allocate memory|[Oo]ut of memory")
_MESSAGES = msgspec.json.Decoder(WorkerMessage)


@dataclass(frozen=True)
class JobFiles:
    """Where a job's files are on this device."""

    model: Path
    inputs: Path | None = None
    outputs: Path | None = None


class Cancellation:
    """Lets another thread end the job that a supervisor is watching."""

    def __init__(self) -> None:
        self.read_fd, self._write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def cancel(self) -> None:
        """Ask for the end; again and after the end it does nothing."""
        if self._write_fd >= 0:
            with contextlib.suppress(BlockingIOError):
                os.write(self._write_fd, b"x")

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until the end is asked for; whether it is."""
        return bool(select.select([self.read_fd], [], [], seconds)[0])

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self.read_fd)
        os.close(self._write_fd)
        self._write_fd = -1


@dataclass
class _Watched:
    """What is known of a running worker."""

    deadline: float
    memory_limit_bytes: int
    may_wait_s: float = 0.0
    stage: str = "starting"
    runtime: RuntimeInfo | None = None
    precision: str = "fp32"
    report: Report | None = None
    received: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True)
class _Ending:
    report: Report
    signal: str | None = None


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
    started_unix_s, begin = time.time(), time.monotonic()
    watched = _Watched(
        deadline=time.monotonic() + job.settings.deadline_s,
        memory_limit_bytes=job.settings.memory_limit_bytes or _default_memory_limit_bytes(),
    )
    before, spent_s = health_snapshot(cores), _children_cpu_s()
    if refusal:
        ending = _Ending(Report(Outcome.UNSUPPORTED, refusal))
    elif held_back and waited is None:
        ending = _Ending(Report(Outcome.CANCELLED, "cancelled while waiting until the device is fit"))
    elif cores:
        speed = _speed_request(job, gate, before) if held_back else None
        if speed is not None:  # that wait is no part of the job's time
            watched.may_wait_s = speed.wait_s
            watched.deadline += speed.wait_s
        ending = _run_worker(_request(job, files, cores, watched, speed), watched, cancellation, command)
    else:
        ending = _Ending(Report(Outcome.UNSUPPORTED, _missing(job.settings, allowed_cores)))
    report = ending.report
    if report.outcome is Outcome.TIMEOUT:
        report, verdict = _account_for(job, report, cores, before, _children_cpu_s() - spent_s)
    else:
        verdict = _verdict(job, report)
    if gate is not None:
        gate.remember(report.health_after, verdict, report.core_speed)
    well = report.outcome is Outcome.OK
    good = counted(report.samples_ms, report.core_speed) if well else ()
    return ProcessResult(
        job_id=job.job_id,
        model_sha256=job.model_sha256,
        measure_pass=job.measure_pass,
        outcome=report.outcome,
        settings=job.settings,
        started_unix_s=started_unix_s,
        wall_s=time.monotonic() - begin,
        agent_version=__version__,
        identity=identity,
        context=device_context(read_hardware(), watched.runtime, job.settings.threads, watched.precision)
        if watched.runtime
        else None,
        message=" ".join(report.message.split())[:MAX_MESSAGE_CHARACTERS],
        signal=ending.signal,
        load_ms=report.load_ms,
        cold_ms=report.cold_ms,
        warmup_ms=report.warmup_ms,
        steady=report.steady,
        samples_ms=report.samples_ms if well else (),
        median_ms=median(good) if good else None,
        peak_rss_bytes=report.peak_rss_bytes,
        model_bytes=files.model.stat().st_size if files.model.exists() else None,
        parity=report.parity,
        involuntary_switches=report.involuntary_switches,
        health_before=report.health_before or before,
        health_after=report.health_after or health_snapshot(cores),
        verdict=verdict,
        processor_time=report.processor_time,
        gate=waited,
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
    watched: _Watched,
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


def _run_worker(
    request: WorkerRequest, watched: _Watched, cancellation: Cancellation, command: Sequence[str] | None
) -> _Ending:
    oom_kills = _oom_kills()
    with (
        os.fdopen(os.memfd_create("worker-stderr"), "w+b") as stderr,
        _scratch(request) as asked,
        current_launcher().launch(*WORKER) as launch,
    ):
        try:
            process, results = _start(asked, launch if command is None else Launch(tuple(command)), stderr)
        except OSError as error:
            return _Ending(Report(Outcome.INTERNAL, f"the worker could not be started: {error.strerror}"))
        try:
            killed = _watch(process, results, watched, cancellation)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            os.close(results)
        if watched.report is not None and (killed is not None or process.returncode == 0):
            return _Ending(watched.report)
        if killed is not None:
            return _Ending(killed)
        return _explain_death(process.returncode, watched.stage, _tail(stderr), _oom_kills() > oom_kills)


@contextlib.contextmanager
def _scratch(request: WorkerRequest) -> Iterator[WorkerRequest]:
    """Give the profile pass a folder, which is deleted here: a worker that is killed cannot do it."""
    if request.job.measure_pass != MeasurePass.PROFILE:
        yield request
        return
    with tempfile.TemporaryDirectory(prefix="hytnas-profile-", ignore_cleanup_errors=True) as folder:
        yield msgspec.structs.replace(request, scratch_path=folder)


def _default_memory_limit_bytes() -> int:
    available = meminfo_bytes("MemAvailable")
    return int(MEMORY_SHARE * available) if available else 512 * 1024 * 1024


def _start(request: WorkerRequest, launch: Launch, stderr: BinaryIO) -> tuple[subprocess.Popen[bytes], int]:
    """Start the worker in a session and process group of its own; return it and its result pipe."""
    threads = str(request.job.settings.threads)
    environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": "1"} | launch.environment
    results, worker_end = os.pipe2(os.O_CLOEXEC)
    try:
        process = subprocess.Popen(
            [*launch.argv, str(worker_end)],
            stdin=subprocess.PIPE,
            stdout=stderr,
            stderr=stderr,
            pass_fds=(worker_end, *launch.descriptors),
            start_new_session=True,
            cwd="/",
            env=environment,
        )
    except OSError:
        os.close(results)
        raise
    finally:
        os.close(worker_end)
    # The worker sets this limit too, but an emulator does not pass it on for fear of its own memory.
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (request.data_limit_bytes,) * 2)
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write(msgspec.json.encode(request))
    return process, results


def _watch(
    process: subprocess.Popen[bytes], results: int, watched: _Watched, cancellation: Cancellation
) -> Report | None:
    """Wait for the worker's end; a report says why it must be killed instead."""
    with selectors.DefaultSelector() as selector:
        selector.register(results, selectors.EVENT_READ)
        selector.register(cancellation.read_fd, selectors.EVENT_READ)
        while (remaining := watched.deadline - time.monotonic()) > 0:
            ready = {key.fd for key, _ in selector.select(min(WATCH_INTERVAL_S, remaining))}
            if cancellation.read_fd in ready:
                return Report(Outcome.CANCELLED, f"cancelled while {watched.stage}")
            if results in ready:
                chunk = os.read(results, 1 << 16)
                if not chunk:
                    break
                if not _receive(watched, chunk):
                    return Report(Outcome.INTERNAL, "the worker's answer is malformed or too long")
            resident = group_rss_bytes(process.pid)
            if resident > watched.memory_limit_bytes:
                sizes = f"{resident >> 20} MiB resident, {watched.memory_limit_bytes >> 20} MiB allowed"
                return Report(Outcome.OOM, f"{sizes}, while {watched.stage}")
    try:
        process.wait(max(0.0, watched.deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return Report(Outcome.TIMEOUT, f"the deadline passed while {watched.stage}")
    return None


def _receive(watched: _Watched, chunk: bytes) -> bool:
    """Take in what came over the result pipe; False if it is not what a worker says."""
    watched.received += chunk
    *lines, rest = watched.received.split(b"\n")
    watched.received = rest
    for line in lines:
        try:
            message = _MESSAGES.decode(line)
        except (ValueError, RecursionError):
            return False
        if isinstance(message, Report):
            watched.report = message
        else:
            watched.stage = message.name
            watched.runtime = message.runtime or watched.runtime
            watched.precision = message.precision or watched.precision
            if message.waited_s is not None:
                watched.deadline -= max(0.0, watched.may_wait_s - message.waited_s)
                watched.may_wait_s = 0.0
    return len(rest) <= MAX_RESULT_BYTES


def group_rss_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants; 0 once they are gone.

    From statm: reading the exact PSS walks the page tables under a lock that the worker needs too.
    """
    statm = (read_text(Path(f"/proc/{pid}/statm")) or "0 0").split()
    children = (read_text(Path(f"/proc/{pid}/task/{pid}/children")) or "").split()
    return int(statm[1]) * _PAGE_BYTES + sum(group_rss_bytes(int(child)) for child in children)


def _explain_death(returncode: int, stage: str, stderr: str, kernel_killed: bool) -> _Ending:
    """Why a worker ended without a report."""
    last_line = stderr.strip().splitlines()[-1] if stderr.strip() else ""
    said = f": {last_line}" if last_line else ""
    out_of_memory = bool(_OUT_OF_MEMORY.search(stderr))
    if returncode < 0:
        name = signal.Signals(-returncode).name
        if out_of_memory or (returncode == -signal.SIGKILL and kernel_killed):
            return _Ending(Report(Outcome.OOM, f"out of memory while {stage}{said}"), name)
        return _Ending(Report(Outcome.CRASH, f"killed by {name} while {stage}{said}"), name)
    if out_of_memory:
        return _Ending(Report(Outcome.OOM, f"out of memory while {stage}{said}"))
    return _Ending(Report(Outcome.INTERNAL, f"the worker left with status {returncode} while {stage}{said}"))


def _tail(file: BinaryIO, limit: int = 4096) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - limit))
    return file.read().decode(errors="replace")


def _oom_kills() -> int:
    return read_counters(Path("/proc/vmstat")).get("oom_kill", 0)
