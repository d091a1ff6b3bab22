"""The thread that does the work, one thing at a time: a job's process, or a chore between jobs.

Chores (verifying an upload, trying a runtime) never run beside a job. Those of whoever holds the device go
before waiting jobs; of all others' together, one goes between two jobs. Clients take turns.
"""

import contextlib
import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hytnas_agent import __version__
from hytnas_agent.device.gate import Gate
from hytnas_agent.device.speed_memory import SpeedMemory
from hytnas_agent.errors import AgentError
from hytnas_agent.journal import Journal
from hytnas_agent.protocol import ErrorCode, RpcError
from hytnas_agent.records import DeviceIdentity, MeasureJob, MeasurePass, Outcome, ProcessResult
from hytnas_agent.regular_file import open_own
from hytnas_agent.spool import check_content, names_of
from hytnas_agent.supervisor import JobFiles, run_job
from hytnas_agent.worker_process import Cancellation

MAX_STARTS = 3
"""How often a job is started at most whose agent or device goes down each time."""


Chore = Callable[[], None]


@dataclass(frozen=True)
class QueuedJob:
    """A job that waits or runs, with its files, its client, and the lease it belongs to."""

    job: MeasureJob
    files: JobFiles
    client_id: str
    token: int


class Chores:
    """What clients wait for besides jobs: first come, first served for each, and the clients in turn."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, deque[Chore]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def count(self, owner: Hashable) -> int:
        """How many of the owner's wait."""
        return len(self._waiting.get(owner, ()))

    def add(self, owner: Hashable, chore: Chore) -> None:
        """Put one behind the owner's others."""
        self._waiting.setdefault(owner, deque()).append(chore)

    def take(self, owner: Hashable) -> Chore | None:
        """The owner's next; others' turns stay as they are."""
        if owner not in self._waiting:
            return None
        chore = self._waiting[owner].popleft()
        if not self._waiting[owner]:
            del self._waiting[owner]
        return chore

    def take_next(self) -> Chore | None:
        """The next of the owner whose turn it is, who then goes behind all others."""
        owner = next(iter(self._waiting), None)
        chore = self.take(owner)
        if owner in self._waiting:
            self._waiting[owner] = self._waiting.pop(owner)
        return chore

    def drop(self, owner: Hashable) -> None:
        """Forget the owner's."""
        self._waiting.pop(owner, None)

    def clear(self) -> None:
        """Forget all."""
        self._waiting.clear()


class Runner:
    """Owns the queue and the worker thread.

    Parameters
    ----------
    journal : Journal
        Every ending is written there before it is told.
    allowed_cores : tuple of int
        Cores that workers may be pinned to.
    timed_lock : Path
        Locked (``flock``) while a timed run goes on.
    core_speeds : Path
        Where it is kept how fast the cores have been.
    on_start, on_end : callable
        Called on the runner's thread when a job starts and when it has ended.
    on_fault : callable
        Called on the runner's thread, at its unforeseen end, with what ended it: nothing will be measured.
    holder : callable
        Whose chores go before waiting jobs.
    """

    def __init__(
        self,
        journal: Journal,
        identity: DeviceIdentity,
        allowed_cores: tuple[int, ...],
        *,
        timed_lock: Path,
        core_speeds: Path,
        on_start: Callable[[QueuedJob], None],
        on_end: Callable[[QueuedJob, ProcessResult | RpcError], None],
        on_fault: Callable[[Exception], None],
        holder: Callable[[], Hashable] = lambda: None,
    ) -> None:
        self._journal, self._identity, self.allowed_cores = journal, identity, allowed_cores
        self._timed_lock = timed_lock
        self._gate = Gate(speeds=SpeedMemory(core_speeds))
        self._on_start, self._on_end, self._on_fault = on_start, on_end, on_fault
        self._holder = holder
        self._condition = threading.Condition()
        self._chores = Chores()
        self._others_had_their_turn = False
        self._jobs: deque[QueuedJob] = deque()
        self._running: QueuedJob | None = None
        self._chore_running = False
        self._cancellation: Cancellation | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="runner", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the running job without recording it, forget the waiting ones, and wait for the thread."""
        with self._condition:
            self._stopping = True
            self._jobs.clear()
            self._chores.clear()
            if self._cancellation is not None:
                self._cancellation.cancel()
            self._condition.notify()
        self._thread.join()

    def add_chore(self, chore: Chore, owner: Hashable = None) -> None:
        """Do something for ``owner`` on the runner's thread between two jobs; it must not raise."""
        with self._condition:
            self._chores.add(owner, chore)
            self._condition.notify()

    def waiting_chores(self, owner: Hashable) -> int:
        """How many chores of the owner have not begun."""
        with self._condition:
            return self._chores.count(owner)

    def drop_chores(self, owner: Hashable) -> None:
        """Do nothing more for an owner who has left."""
        with self._condition:
            self._chores.drop(owner)

    def add_job(self, queued: QueuedJob) -> int:
        """Queue a job; how many are before it."""
        with self._condition:
            before = len(self._jobs) + (self._running is not None)
            self._jobs.append(queued)
            self._condition.notify()
        return before

    def find(self, job_id: str) -> QueuedJob | None:
        """The waiting or running job of this id."""
        with self._condition:
            return next((queued for queued in self._all() if queued.job.job_id == job_id), None)

    def pending(self, client_id: str) -> tuple[str, ...]:
        """Ids of the client's waiting and running jobs."""
        with self._condition:
            return tuple(queued.job.job_id for queued in self._all() if queued.client_id == client_id)

    def pinned(self) -> set[str]:
        """Spool names that waiting and running jobs need."""
        with self._condition:
            return {name for queued in self._all() for name in names_of(queued.job)}

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        with self._condition:
            return not (self._jobs or self._chores or self._running or self._chore_running)

    @property
    def running(self) -> QueuedJob | None:
        """The job whose process is running."""
        with self._condition:
            return self._running

    def drop(self, wanted: Callable[[QueuedJob], bool]) -> list[QueuedJob]:
        """Take waiting jobs off the queue; none of them was started."""
        with self._condition:
            dropped = [queued for queued in self._jobs if wanted(queued)]
            self._jobs = deque(queued for queued in self._jobs if not wanted(queued))
        return dropped

    def cancel_running(self, job_id: str) -> None:
        """End the job if it is the running one; its ending is recorded as CANCELLED."""
        with self._condition:
            if self._running is not None and self._running.job.job_id == job_id and self._cancellation:
                self._cancellation.cancel()

    def _all(self) -> list[QueuedJob]:
        return [*([self._running] if self._running else []), *self._jobs]

    def _work(self) -> None:
        try:
            self._take_turns()
        except Exception as error:  # a server whose jobs never begin would keep its clients waiting for ever
            self._on_fault(error)

    def _take_turns(self) -> None:
        while True:
            with self._condition:
                self._running, self._chore_running = None, False
                self._condition.wait_for(lambda: self._stopping or self._chores or self._jobs)
                if self._stopping:
                    return
                chore = self._next_chore()
                self._chore_running = chore is not None
                self._running = None if chore else self._jobs.popleft()
                queued = self._running
                self._cancellation = cancellation = Cancellation() if queued else None
            if chore is not None:
                chore()
            elif queued is not None and cancellation is not None:
                self._run(queued, cancellation)

    def _next_chore(self) -> Chore | None:
        """What goes before the next job, if anything does."""
        chore = self._chores.take(self._holder())
        if chore is None and not (self._jobs and self._others_had_their_turn):
            chore = self._chores.take_next()
            self._others_had_their_turn = chore is not None
        elif chore is None:
            self._others_had_their_turn = False
        return chore

    def _run(self, queued: QueuedJob, cancellation: Cancellation) -> None:
        self._on_start(queued)
        ending: ProcessResult | RpcError | None
        try:
            check_content(queued.job, queued.files)
            ending = self._journalled(queued, cancellation)
        except RpcError as error:
            ending = error
        except AgentError as error:  # of the journal: nothing is told that is not written
            ending = RpcError(ErrorCode.INTERNAL_ERROR, error.what, error.next_step)
        with self._condition:
            self._cancellation = None
            cancellation.close()
            if ending is not None:
                self._running = None
        if ending is not None:
            self._on_end(queued, ending)

    def _journalled(self, queued: QueuedJob, cancellation: Cancellation) -> ProcessResult | None:
        """Run the job and write down how it ended; None where the agent's own end has cut it short."""
        starts = self._journal.begin(queued.job, queued.client_id)
        try:
            result = self._measure(queued, starts, cancellation)
        except Exception as error:  # the thread must outlive whatever a job does
            message = f"{type(error).__name__}: {error}"
            result = unrun_result(queued.job, self._identity, Outcome.INTERNAL, message)
        if self._stopping and result.outcome is Outcome.CANCELLED:
            self._journal.hand_back(queued.job)
            return None
        self._journal.finish(queued.job, queued.client_id, result)
        return result

    def _measure(self, queued: QueuedJob, starts: int, cancellation: Cancellation) -> ProcessResult:
        if starts > MAX_STARTS:
            message = f"the agent or its device went down each of the {MAX_STARTS} times that this job ran"
            return unrun_result(queued.job, self._identity, Outcome.INTERNAL, message)
        timed = queued.job.measure_pass == MeasurePass.TIMED
        with _locked(self._timed_lock) if timed else contextlib.nullcontext():
            return run_job(
                queued.job,
                queued.files,
                self._identity,
                allowed_cores=self.allowed_cores,
                cancellation=cancellation,
                gate=self._gate,
            )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock if it can be had at once; it only informs others."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            descriptor = open_own(path)
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def unrun_result(
    job: MeasureJob, identity: DeviceIdentity, outcome: Outcome, message: str, *, at_unix_s: float = 0.0
) -> ProcessResult:
    """The record of a job that ended without a process of its own."""
    return ProcessResult(
        job_id=job.job_id,
        model_sha256=job.model_sha256,
        measure_pass=job.measure_pass,
        outcome=outcome,
        settings=job.settings,
        started_unix_s=at_unix_s,
        wall_s=0.0,
        agent_version=__version__,
        identity=identity,
        message=message,
    )
