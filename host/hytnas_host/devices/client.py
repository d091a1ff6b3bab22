"""A device behind an agent: what `Device` promises, said in the protocol's words."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

import msgspec
from msgspec import UNSET

from hytnas_agent.deadline import Deadline
from hytnas_agent.device.gate import MAX_WAIT_S, SPEED_PATIENCE_S
from hytnas_agent.label import impossible_number
from hytnas_agent.protocol import (
    AcknowledgeResult,
    CancelParams,
    CancelResult,
    DescribeParams,
    DeviceDescription,
    DoctorResult,
    ErrorCode,
    HelloResult,
    JobIdsParams,
    MeasureParams,
    MeasureResult,
    Nothing,
    Progress,
    ResultParams,
    ResultResult,
    RpcError,
    SpoolCommitParams,
    SpoolCommitResult,
    SpoolStatParams,
    SpoolStatResult,
    TokenParams,
    TuneAction,
    TuneParams,
    TuneResult,
)
from hytnas_agent.records import EXTRA_PASSES, MeasureJob, ModelFormat, ProcessResult
from hytnas_agent.regular_file import file_hash
from hytnas_host.devices.base import Method
from hytnas_host.devices.errors import DeviceError, DeviceRefusedError, DeviceSilentError, FileChangedError
from hytnas_host.devices.quiet import quiet_machine
from hytnas_host.devices.session import BACKOFF_S, MAX_SILENCES, REPLY_TIMEOUT_S, Result, Session
from hytnas_host.devices.transport import Transport

PROBE_TIMEOUT_S = 120.0
COMMIT_TIMEOUT_S = 120.0
UPLOAD_TRIES = 3
ACKNOWLEDGED_AT_ONCE = 10_000
EARLIER_JOB_POLL_S = 5.0  # it may be a timed run, which every question disturbs
EARLIER_JOB_WAIT_S = 900.0
MEASURE_GRACE_S = 60.0 + MAX_WAIT_S + SPEED_PATIENCE_S
CANCEL_TIMEOUT_S = 5.0


class AgentDevice:
    """A `Device` that is reached through its agent.

    Parameters
    ----------
    name : str
    transport : Transport
    client_id : str
        Owner of the jobs on the device; the same after a restart of the host, so that results which were
        journalled meanwhile are replayed to it.
    shares_processor : bool
        Whether the agent runs on this very machine.
    backoff_s : sequence of float
        Pauses before each new attempt to connect.
    upgrade : str, optional
        What the person can do where the agent is of another version; ``device provision`` by default.
    method : Method, optional
        How to measure on it by default.

    Attributes
    ----------
    say : callable
        Told in a line what is waited for, where that may take minutes.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        client_id: str,
        shares_processor: bool,
        backoff_s: Sequence[float] = BACKOFF_S,
        upgrade: str | None = None,
        method: Method | None = None,
    ) -> None:
        self.name = name
        self.say: Callable[[str], None] = lambda _: None
        self.shares_processor = shares_processor
        self.method = Method() if method is None else method
        self._client_id = client_id
        self._session = Session(
            name,
            transport,
            client_id=client_id,
            backoff_s=backoff_s,
            on_progress=self._progressed,
            upgrade=upgrade,
        )
        self._pushed: dict[str, Path] = {}
        # Held by a measurement until its answer and by an upload: a timed run has the device to itself.
        self._turn = threading.RLock()
        self._watching = threading.Lock()
        self._watchers: dict[str, Callable[[str], None]] = {}
        self._heard: dict[str, str] = {}  # the last progress of the job that is waited for

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def hello(self) -> HelloResult:
        """Which agent answers, and where its spool is; connects if need be."""
        return self._session.hello()

    def describe(
        self,
        *,
        runtime: str | None = None,
        threads: int = 1,
        model_format: ModelFormat | None = None,
        precision: str = "fp32",
    ) -> DeviceDescription:
        """Identity, context (of measuring such models), runtimes and health of the device."""
        params = DescribeParams(runtime, threads, model_format, precision)
        found = self._session.ask("describe", params, DeviceDescription, PROBE_TIMEOUT_S)
        if impossible := impossible_number(found):
            raise DeviceRefusedError(
                f"device {self.name!r} describes itself with what cannot be: {impossible}",
                f"its agent is damaged or of another version: hytnas-profile device provision {self.name}",
            )
        return found

    def doctor(self) -> DoctorResult:
        """What the agent finds right and wrong with its device."""
        return self._session.ask("doctor", Nothing(), DoctorResult, PROBE_TIMEOUT_S)

    def tune(self, action: TuneAction) -> TuneResult:
        """Say how the device's clock would be pinned, do it, or take it back.

        Raises DeviceError where the agent cannot, and DeviceBusyError where somebody measures.
        """
        self._require("tune", "tune it")
        return self._session.ask("tune", TuneParams(action), TuneResult, PROBE_TIMEOUT_S)

    def acquire(self, reason: str) -> None:
        """Take the device for oneself until ``release``; raises DeviceBusyError naming who has it.

        A job that a killed host of this user has left there is waited for: its result is asked for again
        under the same id, and nothing else the agent is asked for would be answered before it has ended.
        Raises DeviceRefusedError where it does not end within a quarter of an hour.
        """
        self._session.acquire(reason)
        deadline = Deadline(EARLIER_JOB_WAIT_S)
        told = False
        while pending := self._session.ask("result", ResultParams(()), ResultResult).pending:
            jobs = f"{len(pending)} jobs" if len(pending) > 1 else f"job {pending[0][:12]}"
            if deadline.expired:
                self.release()
                raise DeviceRefusedError(
                    f"device {self.name!r} has not ended {jobs} of an earlier command of yours within "
                    f"{EARLIER_JOB_WAIT_S / 60:.0f} minutes",
                    "wait until it has, or end its agent there with: hytnas-agent stop",
                )
            if not told:
                told = True
                self.say(
                    f"{self.name}: waiting for {jobs} of an earlier command of yours to end, "
                    f"{EARLIER_JOB_WAIT_S / 60:.0f} minutes at most"
                )
            time.sleep(EARLIER_JOB_POLL_S)

    def release(self) -> None:
        """Give the device back; nothing happens where it is not held."""
        self._session.release()

    def push(self, file: Path, sha256: str, suffix: str) -> None:
        """Put a file into the agent's spool under its hash; nothing happens where it is there already.

        It needs the lease, and waits for a measurement that another thread has asked for: nothing is
        transferred while a timed run is going on the device, whoever asked for it.

        Raises DeviceError if it cannot be copied, or its hash is another.
        """
        name = f"{sha256}.{suffix.lstrip('.')}"
        with self._turn:
            if name in self._pushed:
                return
            self._upload(file, name)
            self._pushed[name] = file

    def measure(self, job: MeasureJob, on_progress: Callable[[str], None] | None = None) -> ProcessResult:
        """Run one job and wait for its result; the same ``job_id`` again gives the same result.

        Interrupted (Ctrl-C), it cancels the job before the exception goes on.

        Raises
        ------
        DeviceRefusedError
            It answers, but the job does not end within twice its deadline, asked for twice.
        DeviceError
            The device is not reachable, or its agent is too old for the pass.
        """
        if job.measure_pass in EXTRA_PASSES:
            self._require(f"measure.{job.measure_pass}", f"measure {job.measure_pass}")
        if job.settings.inputs_sha256 is not UNSET:
            self._require("measure.inputs", "run models with inputs that are given")
        if job.may_end_early is not UNSET and "measure.end_early" not in self.hello().capabilities:
            job = msgspec.structs.replace(job, may_end_early=UNSET)
        if on_progress is not None:
            with self._watching:
                self._watchers[job.job_id] = on_progress
        try:
            with self._turn:
                return self._measure(job)
        except DeviceError:
            raise
        except BaseException:
            self.cancel(job.job_id)
            raise
        finally:
            with self._watching:
                self._watchers.pop(job.job_id, None)
                self._heard.clear()

    def results(self, job_ids: Sequence[str]) -> list[ProcessResult]:
        """Those of these jobs that have ended, from the agent's journal; nothing is run."""
        found: list[ProcessResult] = []
        wanted = tuple(job_ids)
        while wanted:
            answer = self._session.ask("result", ResultParams(wanted), ResultResult)
            found += answer.results
            ended = {result.job_id for result in answer.results}
            if answer.more and not ended.intersection(wanted):
                raise DeviceError(
                    f"device {self.name!r} has more results and sends none of them",
                    f"check it with: hytnas-profile device doctor {self.name}",
                )
            wanted = tuple(job_id for job_id in wanted if job_id not in ended) if answer.more else ()
        return found

    def acknowledge(self, job_ids: list[str]) -> None:
        """Tell the agent that these results are stored here and need not be replayed."""
        for start in range(0, len(job_ids), ACKNOWLEDGED_AT_ONCE):
            some = tuple(job_ids[start : start + ACKNOWLEDGED_AT_ONCE])
            self._session.ask("acknowledge", JobIdsParams(some), AcknowledgeResult)

    def cancel(self, job_id: str) -> None:
        """Stop a job, if the agent can be told so now; its result is then CANCELLED."""
        self._session.tell("cancel", CancelParams(job_id), CancelResult, CANCEL_TIMEOUT_S)

    def quiet(self) -> AbstractContextManager[None]:
        """Hold while a timed run goes on: on a shared processor the host's heavy work stands still."""
        return quiet_machine() if self.shares_processor else contextlib.nullcontext()

    def close(self) -> None:
        """Release the lease and end the connection."""
        self._session.close()

    def _require(self, capability: str, purpose: str) -> None:
        """Raise DeviceError where the agent does not have the capability."""
        if capability not in self.hello().capabilities:
            raise DeviceError(
                f"the agent of device {self.name!r} is too old to {purpose}",
                f"upgrade it with: hytnas-profile device provision {self.name}",
            )

    def _measure(self, job: MeasureJob) -> ProcessResult:
        # Twice the deadline: a job of ours from before a restart of the host may still be running.
        timeout_s = 2 * job.settings.deadline_s + MEASURE_GRACE_S

        def ask() -> ProcessResult:
            for silence in range(MAX_SILENCES):
                try:
                    measured = self._session.ask(
                        "measure",
                        lambda token: MeasureParams(job, token),
                        MeasureResult,
                        timeout_s,
                        max_silences=1,
                    )
                except DeviceSilentError:
                    if silence == 0:
                        self.say(f"{self._unended(job, timeout_s)}; asking once more")
                else:
                    return measured.result
            raise DeviceRefusedError(
                f"{self._unended(job, timeout_s)}, asked for {MAX_SILENCES} times",
                f"end its agent there with: hytnas-agent stop, and check it with: hytnas-profile device "
                f"doctor {self.name}",
            )

        try:
            return ask()
        except RpcError as error:
            if error.code != ErrorCode.NOT_SPOOLED or not self._push_again(job):
                raise DeviceError(f"device {self.name!r}: {error.what}", error.next_step) from error
        try:
            return ask()
        except RpcError as error:
            raise DeviceError(f"device {self.name!r}: {error.what}", error.next_step) from error

    def _unended(self, job: MeasureJob, timeout_s: float) -> str:
        """That a job does not end, and how far it has come as far as the device says."""
        with self._watching:
            heard = self._heard.get(job.job_id)
        said = f", and says no more of it than {heard!r}" if heard else ""
        return f"device {self.name!r} has not ended job {job.job_id[:12]} within {timeout_s:.0f} s{said}"

    def _push_again(self, job: MeasureJob) -> bool:
        """Upload the job's files anew, which the spool has evicted; whether there were any."""
        hashes = {job.model_sha256}
        if job.reference is not None:
            hashes |= {job.reference.inputs_sha256, job.reference.outputs_sha256}
        names = [name for name in self._pushed if name.partition(".")[0] in hashes]
        for name in names:
            self._upload(self._pushed[name], name)
        return bool(names)

    def _upload(self, file: Path, name: str) -> None:
        try:
            size_bytes = file.stat().st_size
        except OSError as error:
            raise DeviceError(f"{file} cannot be read: {error.strerror}", "export the model again") from error
        self._session.ask("heartbeat", TokenParams, Nothing)
        stat = self._with_lease("spool_stat", SpoolStatParams((name,), size_bytes), SpoolStatResult)
        if name in stat.present:
            return
        check_unchanged(file, name.partition(".")[0])
        # The same name each time: a part that a broken one left behind is written over.
        commit = SpoolCommitParams(f"{self._client_id[:32]}-{name[:32]}", name, size_bytes)
        for number in range(UPLOAD_TRIES):
            self._session.put(file, str(PurePosixPath(self._session.hello().incoming_path) / commit.upload))
            try:
                self._with_lease("spool_commit", commit, SpoolCommitResult, COMMIT_TIMEOUT_S)
            except RpcError as error:
                check_unchanged(file, name.partition(".")[0])
                if number == UPLOAD_TRIES - 1:
                    raise DeviceError(
                        f"{file.name} arrived damaged on {self.name!r} {UPLOAD_TRIES} times",
                        "check the device's memory card and its network",
                    ) from error
            else:
                return

    def _with_lease(
        self, method: str, params: msgspec.Struct, kind: type[Result], timeout_s: float = REPLY_TIMEOUT_S
    ) -> Result:
        """Ask for what carries no token, on a new connection not before the lease is held again."""
        return self._session.ask(method, lambda _token: params, kind, timeout_s)

    def _progressed(self, progress: Progress) -> None:
        with self._watching:
            watcher = self._watchers.get(progress.job_id)
            self._heard = {progress.job_id: progress.stage}
        if watcher is not None:
            watcher(progress.stage)


def check_unchanged(file: Path, sha256: str) -> None:
    """Raise FileChangedError where a file is not what its hash says, or cannot be read."""
    again = "Remove it, then run the same command again"
    try:
        found = file_hash(file)
    except OSError as error:
        raise FileChangedError(f"{file} cannot be read ({error.strerror})", again) from error
    if found != sha256:
        raise FileChangedError(f"{file} has changed since it was made", again)
