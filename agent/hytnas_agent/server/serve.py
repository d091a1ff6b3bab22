"""``serve``: one server a state folder, on a Unix socket that only its user can open."""

import contextlib
import errno
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

from hytnas_agent.deadline import Deadline
from hytnas_agent.device.governor import PinnedGovernors, restore_leftovers
from hytnas_agent.device.identity import device_identity
from hytnas_agent.errors import AgentError
from hytnas_agent.instance import AlreadyServingError, single_instance
from hytnas_agent.journal import Journal
from hytnas_agent.launcher import current_launcher
from hytnas_agent.lease import DeviceLease
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import RpcError
from hytnas_agent.records import ProcessResult
from hytnas_agent.server.client_lease import ClientLease
from hytnas_agent.server.connection import Connection
from hytnas_agent.server.loop import EventLoop
from hytnas_agent.server.runner import QueuedJob, Runner
from hytnas_agent.server.service import Parts, Service
from hytnas_agent.spool import DEFAULT_CAPACITY_BYTES, Spool
from hytnas_agent.stop import stop_server

BACKLOG = 16
TAKE_OVER_TIMEOUT_S = 60.0
SHORT_OF_DESCRIPTORS_S = 0.05


def serve(
    state: StateFolder,
    *,
    idle_exit_s: float | None = None,
    spool_bytes: int = DEFAULT_CAPACITY_BYTES,
    take_over: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT, or until ``idle_exit_s`` seconds passed without client and job.

    ``spool_bytes`` is how much the models on the device may take. ``take_over`` ends the server that runs for
    this state folder, if any, and every one that a host starts before this one has the folder.

    Raises
    ------
    AlreadyServingError
        If a server runs for this state folder and is not to be ended.
    AgentError
        If the state folder cannot be used, or can no longer be.
    """
    with ExitStack() as cleanup:
        cleanup.enter_context(_alone(state, take_over))
        server = _Server(state, idle_exit_s, spool_bytes)
        cleanup.callback(server.close)
        listener = cleanup.enter_context(_listener(state))
        cleanup.enter_context(_signals(server.loop))
        server.run(listener)


class _Server:
    def __init__(self, state: StateFolder, idle_exit_s: float | None, spool_bytes: int) -> None:
        self.loop = EventLoop()
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._idle_exit_s = idle_exit_s
        self._idle_end = None if idle_exit_s is None else Deadline(idle_exit_s)
        self._fault: Exception | None = None
        self._journal = Journal(state.journal)
        self._lease = DeviceLease(state.lease)
        self._governors = PinnedGovernors(state.held_governors)
        restore_leftovers(self._governors, self._lease)
        identity = device_identity(state)
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) > 1:
            # The last core measures; the server keeps off it.
            os.sched_setaffinity(0, allowed[:-1])
        self._runner = Runner(
            self._journal,
            identity,
            tuple(allowed),
            timed_lock=state.timed_lock,
            core_speeds=state.core_speeds,
            on_start=self._job_started,
            on_end=self._job_ended,
            on_fault=self._runner_failed,
            holder=self._holder,
        )
        self._client_lease = ClientLease(
            self._lease,
            lambda: self._runner.running is not None,
            on_begin=self._pin,
            on_end=self._lease_ended,
        )
        self._spool = Spool(state.spool, state.incoming, self._runner.pinned, capacity_bytes=spool_bytes)
        self._parts = Parts(
            state, identity, self.loop, self._journal, self._spool, self._runner, self._client_lease
        )
        self._service = Service(self._parts)
        self._tidy()

    def run(self, listener: socket.socket) -> None:
        self._runner.start()
        self.loop.watch(listener, lambda: self._accept(listener))
        self.loop.run(self._tick)
        self._service.stopping()
        self._runner.stop()
        if self._fault is not None:
            raise AgentError(
                f"the agent cannot go on: {self._fault}",
                "Check its state folder and the free space, then start it again",
            ) from self._fault

    def close(self) -> None:
        if self._lease.held:
            self._governors.restore()
        for connection in list(self._parts.clients):
            connection.close()
        self._lease.release()
        self._journal.close()
        self.loop.close()
        with contextlib.suppress(OSError):
            os.close(self._spare)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._turn_away(listener)
            return
        self._service.connected(
            Connection(self.loop, sock, self._service.received, self._service.disconnected)
        )

    def _turn_away(self, listener: socket.socket) -> None:
        """Close a connection for which there is no descriptor: it would be offered again without end."""
        with contextlib.suppress(OSError):  # of the descriptor that was kept for this, if it could be
            os.close(self._spare)
            self._spare = -1
            listener.accept()[0].close()
        with contextlib.suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        time.sleep(SHORT_OF_DESCRIPTORS_S)

    def _holder(self) -> Connection | None:
        return self._service.holder()

    def _pin(self) -> None:
        """Fix the clock while somebody holds the device, where that is permitted and the clock is its own."""
        if current_launcher().hardware is None:
            self._governors.pin()

    def _lease_ended(self) -> None:
        self._governors.restore()
        self._runner.add_chore(self._tidy)

    def _tidy(self) -> None:
        """Remove what has become too old: at the start, and after each lease, as a service never ends."""
        self._spool.drop_abandoned_uploads()
        with contextlib.suppress(AgentError):  # on a full disk the server can still say so
            self._journal.prune()

    def _tick(self) -> float | None:
        """Let the lease expire and the idle server end; seconds until either may next be due."""
        lease_s = self._client_lease.seconds_left()
        if lease_s == 0:
            self._service.lease_expired()
            lease_s = None
        idle_s = self._idle_seconds_left()
        if idle_s == 0:
            self.loop.stop()
        due = [seconds for seconds in (lease_s, idle_s) if seconds is not None]
        return min(due) if due else None

    def _idle_seconds_left(self) -> float | None:
        if self._idle_exit_s is None or self._idle_end is None:
            return None
        if self._parts.clients or not self._runner.idle:
            self._idle_end = Deadline(self._idle_exit_s)
        return self._idle_end.remaining

    def _runner_failed(self, error: Exception) -> None:
        def end() -> None:
            self._fault = error
            self.loop.stop()

        self.loop.call(end)

    def _job_started(self, queued: QueuedJob) -> None:
        self.loop.call(lambda: self._service.job_started(queued))

    def _job_ended(self, queued: QueuedJob, ending: ProcessResult | RpcError) -> None:
        self.loop.call(lambda: self._service.job_ended(queued, ending))


@contextmanager
def _alone(state: StateFolder, take_over: bool) -> Iterator[None]:
    """The state folder for this process alone."""
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(single_instance(state))
                break
            except AlreadyServingError:
                if not take_over:
                    raise
            stop_server(state, timeout_s=TAKE_OVER_TIMEOUT_S)
        yield


@contextmanager
def _listener(state: StateFolder) -> Iterator[socket.socket]:
    """The listening socket; whoever holds the instance lock may replace a stale one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        before = os.umask(0o177)
        try:
            state.socket.unlink(missing_ok=True)
            listener.bind(os.fspath(state.socket))
        except OSError as error:
            raise AgentError(f"the socket {state.socket} cannot be made: {error.strerror}") from error
        finally:
            os.umask(before)
        made = state.socket.stat()
        listener.listen(BACKLOG)
        listener.setblocking(False)
        try:
            yield listener
        finally:
            with contextlib.suppress(FileNotFoundError):
                # Who deleted the state folder under this server may have started another one since.
                if os.path.samestat(made, state.socket.stat()):
                    state.socket.unlink()


@contextmanager
def _signals(loop: EventLoop) -> Iterator[None]:
    """Stop the loop on SIGTERM and SIGINT; survive the end of a login session."""

    def stop(_: int, __: FrameType | None) -> None:
        loop.stop()

    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    former[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
