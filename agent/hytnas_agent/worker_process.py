"""One worker process: start it in a group of its own, watch it, kill the group if need be, say how it ended.

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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

from hytnas_agent.deadline import Deadline
from hytnas_agent.device.files import read_counters, read_text
from hytnas_agent.launcher import Launch, current_launcher
from hytnas_agent.limits import at_most
from hytnas_agent.protocol import RuntimeInfo
from hytnas_agent.records import MeasurePass, Outcome
from hytnas_agent.signals import signal_name
from hytnas_agent.worker.messages import Report, WorkerMessage, WorkerRequest

WATCH_INTERVAL_S = 0.25
MAX_RESULT_BYTES = 2 * 1024 * 1024
WORKER = ("-P", "-m", "hytnas_agent.worker")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_OUT_OF_MEMORY = re.compile(r"MemoryError|bad_alloc|[Cc]annot allocate memory|[Oo]ut of memory")
_MESSAGES = msgspec.json.Decoder(WorkerMessage)


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
class Watched:
    """What is known of a running worker."""

    deadline: Deadline
    memory_limit_bytes: int
    may_wait_s: float = 0.0
    stage: str = "starting"
    runtime: RuntimeInfo | None = None
    precision: str = "fp32"
    report: Report | None = None
    received: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True)
class Ending:
    """What the worker reported, or is reported of it, and the signal that ended it."""

    report: Report
    signal: str | None = None


def run_worker(
    request: WorkerRequest, watched: Watched, cancellation: Cancellation, command: Sequence[str] | None
) -> Ending:
    """Run a worker to its end and kill what is left of its group.

    ``watched`` is filled with what it tells meanwhile; ``command`` stands for the launcher's command line.
    """
    oom_kills = _oom_kills()
    with (
        os.fdopen(os.memfd_create("worker-stderr"), "w+b") as stderr,
        _scratch(request) as asked,
        current_launcher().launch(*WORKER) as launch,
    ):
        try:
            process, results = _start(asked, launch if command is None else Launch(tuple(command)), stderr)
        except OSError as error:
            return Ending(Report(Outcome.INTERNAL, f"the worker could not be started: {error.strerror}"))
        try:
            killed = _watch(process, results, watched, cancellation)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            os.close(results)
        if watched.report is not None and (killed is not None or process.returncode == 0):
            return Ending(watched.report)
        if killed is not None:
            return Ending(killed)
        return _explain_death(process.returncode, watched.stage, _tail(stderr), _oom_kills() > oom_kills)


@contextlib.contextmanager
def _scratch(request: WorkerRequest) -> Iterator[WorkerRequest]:
    """Give the profile pass a folder, which is deleted here: a worker that is killed cannot do it."""
    if request.job.measure_pass != MeasurePass.PROFILE:
        yield request
        return
    with tempfile.TemporaryDirectory(prefix="hytnas-profile-", ignore_cleanup_errors=True) as folder:
        yield msgspec.structs.replace(request, scratch_path=folder)


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
        at_most(resource.RLIMIT_DATA, request.data_limit_bytes, process.pid)
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write(msgspec.json.encode(request))
    return process, results


def _watch(
    process: subprocess.Popen[bytes], results: int, watched: Watched, cancellation: Cancellation
) -> Report | None:
    """Wait for the worker's end; a report says why it must be killed instead."""
    with selectors.DefaultSelector() as selector:
        selector.register(results, selectors.EVENT_READ)
        selector.register(cancellation.read_fd, selectors.EVENT_READ)
        while not watched.deadline.expired:
            wait_s = min(WATCH_INTERVAL_S, watched.deadline.remaining)
            ready = {key.fd for key, _ in selector.select(wait_s)}
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
        process.wait(watched.deadline.remaining)
    except subprocess.TimeoutExpired:
        return Report(Outcome.TIMEOUT, f"the deadline passed while {watched.stage}")
    return None


def _receive(watched: Watched, chunk: bytes) -> bool:
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
                watched.deadline.extend(-max(0.0, watched.may_wait_s - message.waited_s))
                watched.may_wait_s = 0.0
    return len(rest) <= MAX_RESULT_BYTES


def group_rss_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants; 0 once they are gone.

    From statm: reading the exact PSS walks the page tables under a lock that the worker needs too.
    """
    statm = (read_text(Path(f"/proc/{pid}/statm")) or "0 0").split()
    children = (read_text(Path(f"/proc/{pid}/task/{pid}/children")) or "").split()
    return int(statm[1]) * _PAGE_BYTES + sum(group_rss_bytes(int(child)) for child in children)


def _explain_death(returncode: int, stage: str, stderr: str, kernel_killed: bool) -> Ending:
    """Why a worker ended without a report."""
    last_line = stderr.strip().splitlines()[-1] if stderr.strip() else ""
    said = f": {last_line}" if last_line else ""
    out_of_memory = bool(_OUT_OF_MEMORY.search(stderr))
    if returncode < 0:
        name = signal_name(-returncode)
        if out_of_memory or (returncode == -signal.SIGKILL and kernel_killed):
            return Ending(Report(Outcome.OOM, f"out of memory while {stage}{said}"), name)
        return Ending(Report(Outcome.CRASH, f"killed by {name} while {stage}{said}"), name)
    if out_of_memory:
        return Ending(Report(Outcome.OOM, f"out of memory while {stage}{said}"))
    return Ending(Report(Outcome.INTERNAL, f"the worker left with status {returncode} while {stage}{said}"))


def _tail(file: BinaryIO, limit: int = 4096) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - limit))
    return file.read().decode(errors="replace")


def _oom_kills() -> int:
    return read_counters(Path("/proc/vmstat")).get("oom_kill", 0)
