"""What the agent and its clients say to each other: methods, their parameters and results, errors.

It travels as JSON-RPC 2.0, one message a line (`hytnas_agent.wire` reads and writes it). A client says
``hello`` first. Requests are answered in any order, matched by ``id``: ``measure`` answers when its job has
ended, while ``heartbeat`` or ``cancel`` on the same connection are answered at once. JSON-RPC batches
(arrays) are not spoken.

Both ends must speak the same major version. Of the minors they speak the lower one, which the answer to
``hello`` names: a minor only adds (fields with defaults, which an older end ignores; methods; capabilities),
and what it adds is used where the agent's ``capabilities`` name it.

=====  ==============================================================================================
1.0    the first
1.1    ``session_id`` in ``hello``: a client that returns takes its own lease over (``lease.takeover``);
       ``upload_bytes`` in ``spool_stat`` (``spool.expect``)
1.2    the passes ``profile``, ``energy`` and ``sustained`` (``measure.profile`` ...) and their ``load_s``;
       a job that the device's health does not hold back (``gate``)
1.3    ``tune`` (``tune``): pin the clock's governor, or take that back
1.4    ``core_speed`` in results: which timed runs count
1.5    ``may_end_early`` in jobs (``measure.end_early``): a process that is certain to be disturbed ends
1.6    ``inputs_sha256`` in a job's settings (``measure.inputs``): real inputs instead of made-up ones
=====  ==============================================================================================
"""

from enum import IntEnum
from typing import Literal

import msgspec

from hytnas_agent.errors import AgentError
from hytnas_agent.records import (
    DeviceContext,
    DeviceIdentity,
    HealthSnapshot,
    MeasureJob,
    ModelFormat,
    ProcessResult,
)

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 6
MAX_MESSAGE_BYTES = 4 * 1024 * 1024

RequestId = int | str | None


class RuntimeInfo(msgspec.Struct, frozen=True):
    """A runtime that was tried on this device in a throw-away process; one not installed has no version."""

    name: str
    version: str
    build: str
    formats: tuple[str, ...]
    usable: bool
    reason: str = ""


class DeviceDescription(msgspec.Struct, frozen=True):
    """Everything the agent says about its device."""

    identity: DeviceIdentity
    context: DeviceContext
    runtimes: tuple[RuntimeInfo, ...]
    health: HealthSnapshot
    agent_version: str
    cpu_model: str = ""
    cpu_features: tuple[str, ...] = ()
    spool_path: str = ""
    virtualisation: str = ""


# --- Parameters and results, one pair a method ---------------------------------------------------------


class Nothing(msgspec.Struct, frozen=True):
    """No parameters, or no result."""


class Version(msgspec.Struct, frozen=True):
    """What both ends can read of the other's ``hello``, whatever its version."""

    protocol_major: int
    protocol_minor: int = 0
    client_version: str = ""
    agent_version: str = ""


class HelloParams(msgspec.Struct, frozen=True):
    """Who calls.

    ``client_id`` owns the jobs it sends and stays the same for good. ``session_id`` is random for each run of
    a client and the same after a reconnection: the lease belongs to it.
    """

    protocol_major: int
    protocol_minor: int
    client_id: str
    client_name: str = ""
    client_pid: int = 0
    client_version: str = ""
    session_id: str = ""


class HelloResult(msgspec.Struct, frozen=True):
    """Who answers, and where uploads go: write ``<incoming_path>/<any name>``, then ``spool_commit``.

    ``protocol_minor`` is what both speak from here on.
    """

    protocol_major: int
    protocol_minor: int
    agent_version: str
    agent_pid: int
    capabilities: tuple[str, ...]
    identity: DeviceIdentity
    spool_path: str
    incoming_path: str


class DescribeParams(msgspec.Struct, frozen=True):
    """Which measurements the described context is for; by default those by the first usable runtime.

    ``format`` and ``precision`` are those of the models: the context is that of a runtime which runs the
    format.
    """

    runtime: str | None = None
    threads: int = 1
    format: ModelFormat | None = None
    precision: str = "fp32"


class AcquireParams(msgspec.Struct, frozen=True):
    """Why the device is wanted.

    The lease ends with the connection, or ``ttl_s`` after the holder's last message or the end of its last
    job.
    """

    reason: str
    ttl_s: float = 120.0


class AcquireResult(msgspec.Struct, frozen=True):
    """The fencing token to send with every job; tokens only ever grow on a device."""

    token: int
    ttl_s: float


class TokenParams(msgspec.Struct, frozen=True):
    """The token of the lease that is kept alive or given back."""

    token: int


class SpoolStatParams(msgspec.Struct, frozen=True):
    """Names ``<sha256>.onnx|.tflite|.npz`` that are asked for.

    ``upload_bytes`` announces an upload where they are missing, so that room is made for it.
    """

    names: tuple[str, ...] = ()
    upload_bytes: int = 0


class SpoolStatResult(msgspec.Struct, frozen=True):
    """Which of the names the device already has."""

    present: tuple[str, ...]
    used_bytes: int
    capacity_bytes: int


class SpoolCommitParams(msgspec.Struct, frozen=True):
    """Move ``incoming/<upload>`` to ``<name>`` once its size and hash are verified."""

    upload: str
    name: str
    size_bytes: int


class SpoolCommitResult(msgspec.Struct, frozen=True):
    """``already`` is true where the spool had the file; the upload is removed either way."""

    name: str
    already: bool


class MeasureParams(msgspec.Struct, frozen=True):
    """One job and the lease it runs under."""

    job: MeasureJob
    token: int


class MeasureResult(msgspec.Struct, frozen=True):
    """How the job ended. ``replayed`` is true where the journal answered and nothing was run."""

    result: ProcessResult
    replayed: bool = False


class ResultParams(msgspec.Struct, frozen=True):
    """Jobs of this client to fetch; by default all finished ones it has not acknowledged, oldest first."""

    job_ids: tuple[str, ...] | None = None


class ResultResult(msgspec.Struct, frozen=True):
    """Finished jobs, all of this client's that are queued or running, and whether more have finished.

    Where there are more: acknowledge, then ask again.
    """

    results: tuple[ProcessResult, ...]
    pending: tuple[str, ...] = ()
    more: bool = False


class JobIdsParams(msgspec.Struct, frozen=True):
    """Jobs whose results the client has stored."""

    job_ids: tuple[str, ...]


class AcknowledgeResult(msgspec.Struct, frozen=True):
    """How many results were newly acknowledged."""

    acknowledged: int


class CancelParams(msgspec.Struct, frozen=True):
    """The job to cancel."""

    job_id: str


class CancelResult(msgspec.Struct, frozen=True):
    """``cancelled``: it was queued or running and its ``measure`` answers CANCELLED."""

    state: Literal["cancelled", "finished", "unknown"]


class Check(msgspec.Struct, frozen=True):
    """One finding of ``doctor``: what was found, and what to do about it in plain words."""

    name: str
    status: Literal["ok", "warn", "fail", "unknown"]
    found: str
    advice: str = ""


class DoctorResult(msgspec.Struct, frozen=True):
    """All findings of ``doctor``."""

    checks: tuple[Check, ...]


TuneAction = Literal["plan", "apply", "undo"]


class TuneParams(msgspec.Struct, frozen=True):
    """Say what would be done, do it, or take it back."""

    action: TuneAction = "plan"


class TuneStep(msgspec.Struct, frozen=True):
    """One setting: what it is, what it is now and would be; how that went, and what to do if it did not."""

    what: str
    now: str
    then: str
    state: Literal["planned", "done", "refused"] = "planned"
    advice: str = ""


class TuneResult(msgspec.Struct, frozen=True):
    """The steps, none where nothing is to be done, and what is left to the person."""

    steps: tuple[TuneStep, ...]
    remarks: tuple[str, ...] = ()


class Progress(msgspec.Struct, frozen=True):
    """Parameters of the notification ``progress``; none is sent between ``started`` and ``finished``."""

    job_id: str
    stage: Literal["queued", "started", "finished"]
    queued_before: int = 0


METHODS: dict[str, tuple[type[msgspec.Struct], type[msgspec.Struct]]] = {
    "hello": (HelloParams, HelloResult),
    "describe": (DescribeParams, DeviceDescription),
    "acquire": (AcquireParams, AcquireResult),
    "heartbeat": (TokenParams, Nothing),
    "release": (TokenParams, Nothing),
    "spool_stat": (SpoolStatParams, SpoolStatResult),
    "spool_commit": (SpoolCommitParams, SpoolCommitResult),
    "measure": (MeasureParams, MeasureResult),
    "result": (ResultParams, ResultResult),
    "acknowledge": (JobIdsParams, AcknowledgeResult),
    "cancel": (CancelParams, CancelResult),
    "doctor": (Nothing, DoctorResult),
    "tune": (TuneParams, TuneResult),
}


# --- Errors --------------------------------------------------------------------------------------------


class ErrorCode(IntEnum):
    """JSON-RPC's own codes, and the agent's from -32001 down."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    BUSY = -32001
    STALE_TOKEN = -32002
    PROTOCOL_MISMATCH = -32003
    MESSAGE_TOO_LARGE = -32004
    NOT_SPOOLED = -32005
    SPOOL_FULL = -32006
    HASH_MISMATCH = -32007
    HELLO_REQUIRED = -32008
    JOB_CONFLICT = -32009
    SHUTTING_DOWN = -32010


class BusyHolder(msgspec.Struct, frozen=True):
    """Who holds the device, since when and why."""

    holder: str
    pid: int
    since_unix_s: float
    reason: str


class ErrorData(msgspec.Struct, frozen=True):
    """What the person can do, and who holds the device where the error is BUSY."""

    next_step: str | None = None
    busy: BusyHolder | None = None


class ErrorObject(msgspec.Struct, frozen=True):
    """The ``error`` member of a response."""

    code: int
    message: str
    data: ErrorData | None = None


class RpcError(AgentError):
    """An error that travels as a JSON-RPC error: raised by the agent's methods, and again by the client.

    Parameters
    ----------
    code : int
        One of `ErrorCode`, or a code of a newer agent.
    what, next_step : str
        See `HytnasError`.
    busy : BusyHolder, optional
        Who holds the device, with `ErrorCode.BUSY`.
    request_id : int, str or None
        The request it answers, where that could be read.
    """

    def __init__(
        self,
        code: int,
        what: str,
        next_step: str | None = None,
        *,
        busy: BusyHolder | None = None,
        request_id: RequestId = None,
    ) -> None:
        super().__init__(what, next_step)
        self.code = code
        self.busy = busy
        self.request_id = request_id

    def to_object(self) -> ErrorObject:
        """The error as it travels."""
        return ErrorObject(int(self.code), self.what, ErrorData(self.next_step, self.busy))
