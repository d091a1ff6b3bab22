"""The protocol's methods. Everything here runs on the loop's thread and answers at once, or by a callback."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hytnas_agent import __version__
from hytnas_agent.device.describe import describe_device
from hytnas_agent.device.doctor import examine
from hytnas_agent.errors import AgentError
from hytnas_agent.journal import Journal
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import (
    MAX_MESSAGE_BYTES,
    METHODS,
    PROTOCOL_MAJOR,
    AcknowledgeResult,
    AcquireParams,
    AcquireResult,
    CancelParams,
    CancelResult,
    DescribeParams,
    ErrorCode,
    HelloParams,
    HelloResult,
    JobIdsParams,
    MeasureParams,
    MeasureResult,
    Nothing,
    Progress,
    RequestId,
    ResultParams,
    ResultResult,
    RpcError,
    RuntimeInfo,
    SpoolCommitParams,
    SpoolCommitResult,
    SpoolStatParams,
    SpoolStatResult,
    TokenParams,
    TuneParams,
)
from hytnas_agent.records import DeviceIdentity, Outcome, ProcessResult
from hytnas_agent.runtimes.probe import probe_runtimes
from hytnas_agent.server.checks import (
    MAX_ID_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_REASON_CHARACTERS,
    check_job,
    check_request_id,
    negotiated_minor,
    plain_text,
    same_job,
)
from hytnas_agent.server.client_lease import ClientLease
from hytnas_agent.server.connection import Connection
from hytnas_agent.server.loop import EventLoop
from hytnas_agent.server.runner import QueuedJob, Runner, unrun_result
from hytnas_agent.spool import Spool
from hytnas_agent.tuning import tune
from hytnas_agent.wire import (
    Request,
    decode_params,
    decode_request,
    decode_version,
    encode_error,
    encode_notification,
    encode_result,
)

MAX_CLIENTS = 32
MAX_QUEUED_JOBS = 1000
MAX_OPEN_REQUESTS = 2000
MAX_CHORES = 16
"""Requests of one client that wait for their turn between jobs: uploads to verify, examinations."""
MAX_ERROR_CHARACTERS = 1000
CAPABILITIES = (
    "measure.timed",
    "measure.memory",
    "measure.profile",
    "measure.energy",
    "measure.sustained",
    "measure.end_early",
    "measure.inputs",
    "parity",
    "progress",
    "replay",
    "lease.takeover",
    "spool.expect",
    "tune",
)


@dataclass(eq=False)
class Client:
    """What is known of a connection's other end; ``open_requests`` of it wait for their answers."""

    connection: Connection
    hello: HelloParams | None = None
    minor: int = 0
    token: int | None = None
    open_requests: int = 0
    heard_s: float = field(default_factory=time.monotonic)


@dataclass
class Waiter:
    """Someone to answer when a job has ended."""

    client: Client
    request_id: RequestId


@dataclass
class Parts:
    """What the service works with."""

    state: StateFolder
    identity: DeviceIdentity
    loop: EventLoop
    journal: Journal
    spool: Spool
    runner: Runner
    client_lease: ClientLease
    clients: dict[Connection, Client] = field(default_factory=dict)


class Service:
    """Answers requests; a method returns its result, or None once it has arranged for a later answer."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._waiters: dict[str, list[Waiter]] = {}
        self._methods: dict[str, Callable[[Client, Any, RequestId], msgspec.Struct | None]] = {
            name: getattr(self, f"_{name}") for name in METHODS
        }

    def connected(self, connection: Connection) -> None:
        """A client has connected; where there are too many, the one that was silent longest has to go."""
        clients = self._parts.clients
        if len(clients) >= MAX_CLIENTS:
            holder = self._parts.client_lease.token
            others = [client for client in clients.values() if holder is None or client.token != holder]
            min(others, key=lambda client: client.heard_s).connection.close()
        clients[connection] = Client(connection)

    def disconnected(self, connection: Connection) -> None:
        """A client is gone: its lease ends, all that waits for it is dropped, its running job goes on."""
        client = self._parts.clients.pop(connection)
        self._parts.runner.drop_chores(connection)
        for waiters in self._waiters.values():
            waiters[:] = [waiter for waiter in waiters if waiter.client is not client]
        if client.token is not None and client.token == self._parts.client_lease.token:
            self._end_lease("the connection that held the lease has ended")

    def received(self, connection: Connection, line: bytes | None) -> None:
        """A client has sent a line; None for one that is too long."""
        client = self._parts.clients[connection]
        client.heard_s = time.monotonic()
        self._parts.client_lease.sign_of_life(client.token)
        request_id: RequestId = None
        try:
            if line is None:
                too_long = f"a message is limited to {MAX_MESSAGE_BYTES} bytes"
                raise RpcError(ErrorCode.MESSAGE_TOO_LARGE, too_long)
            if not line.strip():
                return
            request = decode_request(line)
            if request.id is msgspec.UNSET:
                return
            check_request_id(request.id)
            request_id = request.id
            params = self._admit(client, request)
            answer = self._methods[request.method](client, params, request_id)
        except Exception as error:
            connection.send(_error_line(request_id, error))
        else:
            if answer is not None:
                connection.send(encode_result(request_id, answer))
            else:
                client.open_requests += 1

    def _admit(self, client: Client, request: Request) -> Any:
        """The request's parameters, if the client may ask this now."""
        if request.method == "hello":
            # Before the rest is read, which another version may have changed.
            client.minor = negotiated_minor(decode_version(request.params))
        params = decode_params(request)
        if client.hello is None and request.method != "hello":
            raise RpcError(ErrorCode.HELLO_REQUIRED, "say hello first")
        if client.open_requests >= MAX_OPEN_REQUESTS:
            raise RpcError(ErrorCode.INVALID_REQUEST, f"{MAX_OPEN_REQUESTS} requests wait already")
        return params

    def holder(self) -> Connection | None:
        """The connection of the client that holds the device."""
        token = self._parts.client_lease.token
        if token is None:
            return None
        clients = list(self._parts.clients.values())
        return next((client.connection for client in clients if client.token == token), None)

    def _check_holder(self, client: Client, token: int) -> None:
        """Refuse a token that is not the present one, or that another connection was given.

        Raises
        ------
        RpcError
            STALE_TOKEN.
        """
        self._parts.client_lease.check(token if token == client.token else None)

    def lease_expired(self) -> None:
        """The holder was silent for too long."""
        self._end_lease("the lease has expired")

    def stopping(self) -> None:
        """The server stops: nobody is to wait any longer."""
        error = RpcError(ErrorCode.SHUTTING_DOWN, "the agent is stopping", "Connect and measure again")
        for waiters in self._waiters.values():
            for waiter in waiters:
                self._answer(waiter.client, _error_line(waiter.request_id, error))
        self._waiters.clear()

    def job_started(self, queued: QueuedJob) -> None:
        """A job's process starts."""
        self._notify(queued.job.job_id, Progress(queued.job.job_id, "started"))

    def job_ended(self, queued: QueuedJob, ending: ProcessResult | RpcError) -> None:
        """A job's process has ended and its result is in the journal."""
        self._parts.client_lease.job_ended()
        self._notify(queued.job.job_id, Progress(queued.job.job_id, "finished"))
        self._answer_waiters(queued.job.job_id, ending)

    # --- Methods ---------------------------------------------------------------------------------------

    def _hello(self, client: Client, params: HelloParams, _: RequestId) -> HelloResult:
        if not 1 <= len(params.client_id) <= MAX_ID_CHARACTERS or len(params.session_id) > MAX_ID_CHARACTERS:
            raise RpcError(ErrorCode.INVALID_PARAMS, "client_id is empty, or an id is too long")
        client.hello = msgspec.structs.replace(
            params,
            client_name=plain_text(params.client_name, MAX_NAME_CHARACTERS),
            client_version=plain_text(params.client_version, MAX_NAME_CHARACTERS),
        )
        self._end_former_connection(client)
        return HelloResult(
            PROTOCOL_MAJOR,
            client.minor,
            __version__,
            os.getpid(),
            CAPABILITIES,
            self._parts.identity,
            str(self._parts.state.spool),
            str(self._parts.state.incoming),
        )

    def _end_former_connection(self, client: Client) -> None:
        """A session that returns has left its former connection, be it that the network has not told us."""
        assert client.hello is not None
        session = client.hello.session_id
        for other in list(self._parts.clients.values()):
            if session and other is not client and other.hello and other.hello.session_id == session:
                other.connection.close()

    def _describe(self, client: Client, params: DescribeParams, request_id: RequestId) -> None:
        if params.runtime is not None and len(params.runtime) > MAX_NAME_CHARACTERS:
            raise RpcError(ErrorCode.INVALID_PARAMS, "there is no runtime of so long a name")
        self._later(client, request_id, lambda: describe_device(self._parts.state, self._runtimes(), params))

    def _doctor(self, client: Client, _: Nothing, request_id: RequestId) -> None:
        cores = self._parts.runner.allowed_cores
        self._later(client, request_id, lambda: examine(self._parts.state, self._runtimes(), cores=cores))

    def _tune(self, client: Client, params: TuneParams, request_id: RequestId) -> None:
        self._later(client, request_id, lambda: tune(self._parts.state, params.action))

    def _acquire(self, client: Client, params: AcquireParams, _: RequestId) -> AcquireResult:
        assert client.hello is not None
        hello = client.hello
        holder = hello.client_name or hello.client_id
        reason = plain_text(params.reason, MAX_REASON_CHARACTERS)
        token = self._parts.client_lease.acquire(
            hello.client_id, holder, hello.client_pid, reason, params.ttl_s
        )
        client.token = token
        return AcquireResult(token, params.ttl_s)

    def _heartbeat(self, client: Client, params: TokenParams, _: RequestId) -> Nothing:
        self._check_holder(client, params.token)
        self._parts.client_lease.sign_of_life(params.token)
        return Nothing()

    def _release(self, client: Client, params: TokenParams, _: RequestId) -> Nothing:
        self._check_holder(client, params.token)
        self._end_lease("the lease was released")
        client.token = None
        return Nothing()

    def _spool_stat(self, _: Client, params: SpoolStatParams, __: RequestId) -> SpoolStatResult:
        spool = self._parts.spool
        present = spool.present(params.names)
        if params.upload_bytes > 0 and len(present) < len(params.names):
            spool.expect(params.upload_bytes)
        return SpoolStatResult(present, spool.used_bytes(), spool.capacity_bytes)

    def _spool_commit(self, client: Client, params: SpoolCommitParams, request_id: RequestId) -> None:
        self._parts.spool.check_names(params.upload, params.name)

        def commit() -> SpoolCommitResult:
            already = self._parts.spool.commit(params.upload, params.name, params.size_bytes)
            return SpoolCommitResult(params.name, already)

        self._later(client, request_id, commit)

    def _measure(self, client: Client, params: MeasureParams, request_id: RequestId) -> MeasureResult | None:
        assert client.hello is not None
        job, runner = params.job, self._parts.runner
        check_job(job)
        queued = runner.find(job.job_id)
        entry = None if queued else self._parts.journal.find(job.job_id)
        known = queued.job if queued else entry.job if entry else job
        if not same_job(known, job):
            raise RpcError(ErrorCode.JOB_CONFLICT, f"the id {job.job_id} was issued for another job")
        if entry is not None and entry.result is not None:
            return MeasureResult(entry.result, replayed=True)
        before = 0
        if queued is None:
            self._check_holder(client, params.token)
            if len(runner.pending(client.hello.client_id)) >= MAX_QUEUED_JOBS:
                raise RpcError(ErrorCode.INVALID_REQUEST, f"{MAX_QUEUED_JOBS} jobs wait already")
            with self._parts.spool.lock:
                files = self._parts.spool.files_of(job)
                before = runner.add_job(QueuedJob(job, files, client.hello.client_id, params.token))
        self._waiters.setdefault(job.job_id, []).append(Waiter(client, request_id))
        self._notify(job.job_id, Progress(job.job_id, "queued", before))
        return None

    def _result(self, client: Client, params: ResultParams, _: RequestId) -> ResultResult:
        assert client.hello is not None
        client_id = client.hello.client_id
        results, more = self._parts.journal.results(client_id, params.job_ids)
        return ResultResult(results, self._parts.runner.pending(client_id), more)

    def _acknowledge(self, client: Client, params: JobIdsParams, _: RequestId) -> AcknowledgeResult:
        assert client.hello is not None
        return AcknowledgeResult(self._parts.journal.acknowledge(client.hello.client_id, params.job_ids))

    def _cancel(self, client: Client, params: CancelParams, _: RequestId) -> CancelResult:
        assert client.hello is not None
        queued = self._parts.runner.find(params.job_id)
        if queued is None or queued.client_id != client.hello.client_id:
            found = self._parts.journal.find(params.job_id)
            return CancelResult("finished" if found and found.result else "unknown")
        for dropped in self._parts.runner.drop(lambda waiting: waiting.job.job_id == params.job_id):
            message = "cancelled before it started"
            result = unrun_result(dropped.job, self._parts.identity, Outcome.CANCELLED, message)
            try:
                self._parts.journal.finish(dropped.job, dropped.client_id, result)
            except AgentError as error:  # it is off the queue all the same
                failure = RpcError(ErrorCode.INTERNAL_ERROR, error.what, error.next_step)
                self._answer_waiters(params.job_id, failure)
                raise
            self._answer_waiters(params.job_id, result)
        self._parts.runner.cancel_running(params.job_id)
        return CancelResult("cancelled")

    # --- Answers ---------------------------------------------------------------------------------------

    def _later(self, client: Client, request_id: RequestId, work: Callable[[], msgspec.Struct]) -> None:
        """Work on the runner's thread, between jobs, and answer from the loop's."""

        def chore() -> None:
            try:
                line = encode_result(request_id, work())
            except Exception as error:
                line = _error_line(request_id, error)
            self._parts.loop.call(lambda: self._answer(client, line))

        if self._parts.runner.waiting_chores(client.connection) >= MAX_CHORES:
            raise RpcError(
                ErrorCode.INVALID_REQUEST, f"{MAX_CHORES} requests wait already", "Wait for an answer"
            )
        self._parts.runner.add_chore(chore, client.connection)

    def _answer(self, client: Client, line: bytes) -> None:
        """Send what a request has waited for."""
        client.open_requests -= 1
        client.connection.send(line)

    def _answer_waiters(self, job_id: str, ending: ProcessResult | RpcError) -> None:
        for waiter in self._waiters.pop(job_id, []):
            if isinstance(ending, RpcError):
                line = _error_line(waiter.request_id, ending)
            else:
                line = encode_result(waiter.request_id, MeasureResult(ending))
            self._answer(waiter.client, line)

    def _notify(self, job_id: str, progress: Progress) -> None:
        line = encode_notification("progress", progress)
        for waiter in list(self._waiters.get(job_id, [])):
            waiter.client.connection.send(line)

    def _end_lease(self, why: str) -> None:
        """Drop the holder's waiting jobs, not recorded as they never ran, and let the device go."""
        token = self._parts.client_lease.token
        dropped_jobs = self._parts.runner.drop(lambda waiting: waiting.token == token)
        self._parts.client_lease.leave()
        for dropped in dropped_jobs:
            result = unrun_result(dropped.job, self._parts.identity, Outcome.CANCELLED, f"not started: {why}")
            self._answer_waiters(dropped.job.job_id, result)

    def _runtimes(self) -> tuple[RuntimeInfo, ...]:
        return probe_runtimes(self._parts.state.runtimes)


def _error_line(request_id: RequestId, error: Exception) -> bytes:
    """The response to a request that failed, with the id that the error knows where the request has none."""
    if isinstance(error, RpcError):
        failure = error.to_object()
        request_id = error.request_id if request_id is None else request_id
    elif isinstance(error, AgentError):
        failure = RpcError(ErrorCode.INTERNAL_ERROR, error.what, error.next_step).to_object()
    else:
        failure = RpcError(ErrorCode.INTERNAL_ERROR, f"{type(error).__name__}: {error}").to_object()
    if isinstance(request_id, str):
        request_id = request_id[:MAX_ID_CHARACTERS]
    # What a client sent may be quoted in it, at any length.
    message = failure.message[:MAX_ERROR_CHARACTERS]
    return encode_error(request_id, msgspec.structs.replace(failure, message=message))
