"""The client against agents that do as a test says: cut off, silent, rude, busy, of another version."""

import contextlib
import hashlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from hytnas_agent.protocol import (
    MAX_MESSAGE_BYTES,
    PROTOCOL_MINOR,
    AcknowledgeResult,
    AcquireResult,
    BusyHolder,
    CancelResult,
    ErrorCode,
    HelloParams,
    HelloResult,
    JobIdsParams,
    MeasureParams,
    MeasureResult,
    Nothing,
    Progress,
    ResultResult,
    RpcError,
    SpoolCommitParams,
    SpoolCommitResult,
    SpoolStatResult,
)
from hytnas_agent.records import DeviceIdentity, MeasureJob, MeasureSettings, Outcome, ProcessResult
from hytnas_agent.wire import (
    LineSplitter,
    Request,
    decode_request,
    encode_error,
    encode_notification,
    encode_result,
)
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.errors import DeviceBusyError, DeviceError, DeviceRefusedError, FileChangedError

HELLO = HelloResult(1, 0, "0.1.0", 1, (), DeviceIdentity("d" * 16, "board"), "/spool", "/spool/incoming")

# Answers a request with bytes, with silence (None) or by hanging up (raises HangUp).
Answer = Callable[[Request], bytes | None]


class HangUp(Exception):
    """The scripted agent ends the connection here."""


class SocketConnection:
    """A `Connection` over a socket pair; ``answer`` runs on its far side."""

    def __init__(self, answer: Answer) -> None:
        self._near, self._far = socket.socketpair()
        self._answer = answer
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._server.start()

    def _serve(self) -> None:
        splitter = LineSplitter()
        try:
            while data := self._far.recv(65536):
                for line in splitter.feed(data):
                    reply = self._answer(decode_request(line))
                    if reply is not None:
                        self._far.sendall(reply)
        except (HangUp, OSError):
            pass
        finally:
            self._far.close()

    def send(self, data: bytes, timeout_s: float) -> None:
        self._near.sendall(data)

    def receive(self) -> bytes:
        try:
            return self._near.recv(65536)
        except OSError:
            return b""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._near.shutdown(socket.SHUT_RDWR)
        self._server.join(5)
        self._near.close()

    def diagnosis(self) -> str:
        return "the board said goodbye"


class ScriptedTransport:
    """Each connection is answered by the next of ``scripts``; refused when they run out."""

    def __init__(self, *scripts: Answer) -> None:
        self._scripts: Iterator[Answer] = iter(scripts)
        self.connections = 0
        self.closed = False
        self.put_files: list[tuple[Path, str]] = []

    def connect(self) -> SocketConnection:
        self.connections += 1
        script = next(self._scripts, None)
        if script is None:
            raise ConnectionRefusedError("no route to host")
        self.connection = SocketConnection(script)
        return self.connection

    def put(self, file: Path, destination: str) -> None:
        self.put_files.append((file, destination))

    def close(self) -> None:
        self.closed = True


def polite(then: Answer) -> Answer:
    """Hello, lease and heartbeat as they should be; everything else as ``then`` says."""

    def answer(request: Request) -> bytes | None:
        if request.method == "hello":
            return encode_result(request.id, HELLO)
        if request.method == "acquire":
            return encode_result(request.id, AcquireResult(7, 120.0))
        if request.method in {"heartbeat", "release"}:
            return encode_result(request.id, Nothing())
        if request.method == "result":
            return encode_result(request.id, ResultResult(()))
        return then(request)

    return answer


def refuse(request: Request, code: int, what: str, **more: object) -> bytes:
    return encode_error(request.id, RpcError(code, what, **more).to_object())


IDENTITY = HELLO.identity
JOB = MeasureJob("job-1", hashlib.sha256(b"model").hexdigest(), "onnx", MeasureSettings(deadline_s=5))


def measured(request: Request, *, replayed: bool = False) -> bytes:
    job = msgspec.json.decode(request.params, type=MeasureParams).job
    result = ProcessResult(
        job.job_id, job.model_sha256, job.measure_pass, Outcome.OK, job.settings, 0.0, 0.1, "0.1.0", IDENTITY
    )
    return encode_result(request.id, MeasureResult(result, replayed))


def hang_up(request: Request) -> bytes:
    raise HangUp


@pytest.fixture
def device_with():
    opened = []

    def make(*scripts: Answer, backoff_s=(0.0, 0.0)) -> tuple[AgentDevice, ScriptedTransport]:
        transport = ScriptedTransport(*scripts)
        device = AgentDevice("board", transport, client_id="me", shares_processor=False, backoff_s=backoff_s)
        opened.append(device)
        return device, transport

    yield make
    for device in opened:
        device.close()


def test_cut_off_measure_is_asked_again_under_a_new_lease(device_with):
    device, transport = device_with(polite(hang_up), polite(measured))
    device.acquire("test")
    assert device.measure(JOB).outcome is Outcome.OK
    assert transport.connections == 2


def test_agent_that_stays_dead_is_one_clear_error_with_a_next_step(device_with):
    device, transport = device_with(polite(hang_up))
    device.acquire("test")
    with pytest.raises(
        DeviceError, match=r"device 'board' not reachable: no route to host.*run the same command"
    ):
        device.measure(JOB)
    assert transport.connections == 3


def test_what_the_far_end_said_last_is_in_the_error(device_with):
    device, _ = device_with(hang_up, backoff_s=())
    with pytest.raises(DeviceError, match="the board said goodbye"):
        device.acquire("test")


def test_silence_ends_with_the_deadline_and_is_not_repeated_forever(device_with, monkeypatch):
    monkeypatch.setattr("hytnas_host.devices.client.MEASURE_GRACE_S", -9.9)
    silent = polite(lambda request: None)
    device, transport = device_with(*[silent] * 10, backoff_s=(0.0,) * 9)
    device.acquire("test")
    with pytest.raises(DeviceRefusedError, match="has not ended job job-1 within"):
        device.measure(JOB)
    assert transport.connections == 2


def test_a_board_that_only_sends_progress_is_given_up_and_told_of(device_with, monkeypatch):
    monkeypatch.setattr("hytnas_host.devices.client.MEASURE_GRACE_S", -9.9)

    def busy(request: Request) -> bytes:
        job = msgspec.json.decode(request.params, type=MeasureParams).job
        return encode_notification("progress", Progress(job.job_id, "started"))

    device, transport = device_with(*[polite(busy)] * 10, backoff_s=(0.0,) * 9)
    told: list[str] = []
    device.say = told.append
    device.acquire("test")
    with pytest.raises(DeviceRefusedError, match=r"says no more of it than 'started'.*hytnas-agent stop"):
        device.measure(JOB)
    assert transport.connections == 2
    assert ["job-1" in line for line in told] == [True]


@pytest.mark.parametrize(
    ("rubbish", "said"),
    [
        (b"hello?\x1b[2J\n", r"not JSON-RPC: 'hello\?\\x1b\[2J'"),
        (b'{"jsonrpc": "2.0", "id": 1}\n', "without either result or error"),
        (b"x" * (MAX_MESSAGE_BYTES + 2), "over the size limit"),
        (b"[]\n", r"not JSON-RPC: '\[\]'"),
    ],
)
def test_rubbish_ends_the_connection_and_a_new_one_is_tried_once(device_with, tmp_path, rubbish, said):
    device, _ = device_with(polite(lambda request: rubbish), polite(measured))
    device.acquire("test")
    assert device.measure(JOB).outcome is Outcome.OK
    told = rf"^device 'board': the agent sent .*{said}.*\. see what answers there with: .* doctor board"
    for polite_at_first, connections in ((True, 2), (False, 1)):
        script = polite(lambda request: rubbish) if polite_at_first else lambda request: rubbish
        device, transport = device_with(*[script] * 9, backoff_s=(0.0,) * 8)
        with pytest.raises(DeviceRefusedError, match=told):
            device.describe() if polite_at_first else device.hello()
        assert transport.connections == connections
    with pytest.raises(DeviceRefusedError, match=told):
        device.acquire("test")
    assert transport.connections == 2


@pytest.mark.parametrize(("since_unix_s", "said"), [(0.0, r"\d\d:00"), (1e300, "a time that makes no sense")])
def test_busy_names_the_holder(device_with, since_unix_s, said):
    holder = BusyHolder("ada@desk", 4711, since_unix_s, "collect latency")

    def answer(request: Request) -> bytes:
        if request.method == "hello":
            return encode_result(request.id, HELLO)
        return refuse(request, ErrorCode.BUSY, "busy", busy=holder)

    device, transport = device_with(answer)
    with pytest.raises(
        DeviceBusyError, match=rf"held by ada@desk \(process 4711\) since {said}: collect latency.*wait"
    ):
        device.acquire("test")
    assert transport.connections == 1


def test_own_lease_of_a_lost_connection_is_waited_for(device_with):
    refusals = iter([BusyHolder("me", os.getpid(), 0.0, "test")])

    def answer(request: Request) -> bytes | None:
        if request.method == "acquire" and (holder := next(refusals, None)):
            return refuse(request, ErrorCode.BUSY, "busy", busy=holder)
        return polite(measured)(request)

    device, _ = device_with(polite(hang_up), answer)
    device.acquire("test")
    assert device.measure(JOB).outcome is Outcome.OK


def test_lease_of_another_client_in_this_process_is_not_waited_for(device_with):
    holder = BusyHolder("me", os.getpid(), 0.0, "something else")

    def answer(request: Request) -> bytes | None:
        if request.method == "acquire":
            return refuse(request, ErrorCode.BUSY, "busy", busy=holder)
        return polite(measured)(request)

    device, _ = device_with(answer)
    with pytest.raises(DeviceBusyError, match="something else"):
        device.acquire("test")


def test_stale_lease_is_taken_again(device_with):
    stale = iter([True])

    def answer(request: Request) -> bytes:
        if next(stale, False):
            return refuse(request, ErrorCode.STALE_TOKEN, "stale")
        return measured(request)

    device, transport = device_with(polite(answer))
    device.acquire("test")
    assert device.measure(JOB).outcome is Outcome.OK
    assert transport.connections == 1


def test_agent_of_another_major_version_is_refused_with_the_remedy(device_with):
    other = msgspec.structs.replace(HELLO, protocol_major=2, agent_version="9.0")
    device, transport = device_with(lambda request: encode_result(request.id, other))
    with pytest.raises(DeviceError, match=r"9\.0 speaks protocol 2, this host 1.*device provision board"):
        device.acquire("test")
    assert transport.connections == 1


def test_refusal_of_the_agent_is_passed_on_in_its_words(device_with):
    device, _ = device_with(
        polite(
            lambda request: refuse(request, ErrorCode.INTERNAL_ERROR, "disk is full", next_step="make room")
        )
    )
    device.acquire("test")
    with pytest.raises(DeviceError, match=r"device 'board': disk is full. make room"):
        device.measure(JOB)


def test_measuring_without_a_lease_is_refused_here(device_with):
    device, _ = device_with(polite(measured))
    with pytest.raises(DeviceError, match="without a lease"):
        device.measure(JOB)


class Spool:
    """Holds the names that were committed; forgets on demand."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __call__(self, request: Request) -> bytes:
        if request.method == "spool_stat":
            return encode_result(request.id, SpoolStatResult(tuple(self.names), 0, 1))
        if request.method == "spool_commit":
            name = msgspec.json.decode(request.params, type=SpoolCommitParams).name
            self.names.add(name)
            return encode_result(request.id, SpoolCommitResult(name, False))
        job = msgspec.json.decode(request.params, type=MeasureParams).job
        if f"{job.model_sha256}.onnx" not in self.names:
            return refuse(request, ErrorCode.NOT_SPOOLED, "no such model")
        return measured(request)


def test_file_is_pushed_once_and_again_where_the_spool_has_evicted_it(device_with, tmp_path):
    model = tmp_path / "m.onnx"
    model.write_bytes(b"model")
    spool = Spool()
    device, transport = device_with(polite(spool))
    device.acquire("test")
    device.push(model, JOB.model_sha256, ".onnx")
    device.push(model, JOB.model_sha256, "onnx")
    assert len(transport.put_files) == 1
    assert transport.put_files[0][1].startswith("/spool/incoming/")
    spool.names.clear()
    assert device.measure(JOB).outcome is Outcome.OK
    assert len(transport.put_files) == 2


def test_model_that_was_never_pushed_is_a_clear_error(device_with):
    device, _ = device_with(polite(Spool()))
    device.acquire("test")
    with pytest.raises(DeviceError, match="no such model"):
        device.measure(JOB)


def test_missing_file_is_a_clear_error(device_with, tmp_path):
    device, _ = device_with(polite(Spool()))
    with pytest.raises(DeviceError, match="cannot be read"):
        device.push(tmp_path / "absent.onnx", "a" * 64, ".onnx")


def test_progress_reaches_the_job_it_is_about(device_with):
    def answer(request: Request) -> bytes:
        mine, others = Progress(JOB.job_id, "started"), Progress("other", "finished")
        notes = b"".join(encode_notification("progress", note) for note in (mine, others))
        return notes + measured(request)

    device, _ = device_with(polite(answer))
    device.acquire("test")
    stages: list[str] = []
    device.measure(JOB, stages.append)
    assert stages == ["started"]


def test_interrupted_measure_cancels_the_job_and_goes_on_up(device_with, monkeypatch):
    asked: list[str] = []
    started = threading.Event()

    def answer(request: Request) -> bytes | None:
        asked.append(request.method)
        if request.method == "cancel":
            return encode_result(request.id, CancelResult("cancelled"))
        started.set()
        return None

    device, _ = device_with(polite(answer))
    device.acquire("test")

    def interrupt() -> None:
        started.wait(30)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        device.measure(JOB)
    assert asked == ["measure", "cancel"]


def test_heartbeats_keep_the_lease_while_nothing_is_asked(device_with, monkeypatch):
    monkeypatch.setattr("hytnas_host.devices.session.LEASE_TTL_S", 0.02)
    beats: list[str] = []

    def answer(request: Request) -> bytes | None:
        beats.append(request.method)
        return polite(measured)(request)

    device, _ = device_with(answer)
    device.acquire("test")
    deadline = time.monotonic() + 30
    while beats.count("heartbeat") < 4:
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Turn:
    """A lock that tells when somebody has to wait for it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.waited_for = threading.Event()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self.waited_for.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_nothing_is_pushed_while_a_measurement_is_going(device_with, tmp_path):
    first, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    first.write_bytes(b"model")
    second.write_bytes(b"second")
    spool = Spool()
    asked: list[Request] = []
    measuring = threading.Event()

    def answer(request: Request) -> bytes | None:
        asked.append(request)
        if request.method == "measure":
            measuring.set()
            return None  # for now
        return spool(request)

    device, transport = device_with(polite(answer))
    device._turn = turn = Turn()
    device.acquire("test")
    device.push(first, JOB.model_sha256, ".onnx")
    measure = threading.Thread(target=device.measure, args=(JOB,))
    measure.start()
    assert measuring.wait(60)
    push = threading.Thread(target=device.push, args=(second, hashlib.sha256(b"second").hexdigest(), ".onnx"))
    push.start()
    assert turn.waited_for.wait(60)
    assert len(transport.put_files) == 1
    transport.connection._far.sendall(spool(asked[-1]))
    for thread in (measure, push):
        thread.join(60)
    assert len(transport.put_files) == 2
    assert [request.method for request in asked[-3:]] == ["measure", "spool_stat", "spool_commit"]


def test_pushing_needs_the_lease(device_with, tmp_path):
    """So no other host's timed run is disturbed."""
    model = tmp_path / "m.onnx"
    model.write_bytes(b"model")
    device, transport = device_with(polite(Spool()))
    with pytest.raises(DeviceError, match="without a lease"):
        device.push(model, "a" * 64, ".onnx")
    assert transport.put_files == []


def test_closing_ends_what_the_transport_keeps(device_with):
    device, transport = device_with(polite(measured))
    device.acquire("test")
    device.close()
    assert transport.closed


def test_closed_device_is_not_connected_to_again(device_with):
    device, transport = device_with(polite(measured), polite(measured))
    device.hello()
    device.close()
    with pytest.raises(DeviceError, match="closed here"):
        device.hello()
    assert transport.connections == 1


def test_closing_does_not_wait_for_another_thread_that_connects(device_with, monkeypatch):
    device, transport = device_with(polite(measured))
    connecting, go_on = threading.Event(), threading.Event()
    connect = transport.connect

    def slow() -> SocketConnection:
        connecting.set()
        go_on.wait(120)
        return connect()

    monkeypatch.setattr(transport, "connect", slow)
    failures: list[str] = []

    def greet() -> None:
        try:
            device.hello()
        except DeviceError as error:
            failures.append(str(error))

    threads = [threading.Thread(target=greet), threading.Thread(target=device.close)]
    threads[0].start()
    assert connecting.wait(60)
    threads[1].start()
    threads[1].join(60)
    was_closed = not threads[1].is_alive()
    go_on.set()
    threads[0].join(60)
    assert was_closed
    assert "closed here" in failures[0]
    assert transport.connection.receive() == b""


def test_closing_does_not_wait_for_another_thread_that_waits_for_the_lease(device_with):
    asked = threading.Event()

    def answer(request: Request) -> bytes | None:
        if request.method == "acquire":
            asked.set()
            return None
        return polite(measured)(request)

    device, _ = device_with(answer)
    failures: list[str] = []

    def acquire() -> None:
        try:
            device.acquire("test")
        except DeviceError as error:
            failures.append(str(error))

    thread = threading.Thread(target=acquire)
    thread.start()
    assert asked.wait(60)
    device.close()
    thread.join(20)  # before its own deadline
    assert failures
    assert "closed" in failures[0]


def test_greeting_is_repeated_on_a_new_connection_and_given_up_in_one_clear_error(device_with):
    device, transport = device_with(hang_up, polite(measured))
    assert device.hello() == HELLO
    assert transport.connections == 2
    silent, _ = device_with(hang_up)
    with pytest.raises(DeviceError, match="device 'board' not reachable: no route to host"):
        silent.hello()


def test_agent_of_another_major_version_may_answer_anything_else(device_with):
    device, _ = device_with(
        lambda request: b'{"jsonrpc":"2.0","id":%d,"result":{"protocol_major":3,"new":[]}}\n' % request.id
    )
    with pytest.raises(DeviceError, match=r"speaks protocol 3, this host 1.*device provision board"):
        device.hello()


@pytest.mark.parametrize(("said", "spoken"), [(0, 0), (PROTOCOL_MINOR, PROTOCOL_MINOR), (9, PROTOCOL_MINOR)])
def test_the_lower_minor_is_spoken(device_with, said, spoken):
    other = msgspec.structs.replace(HELLO, protocol_minor=said)
    device, _ = device_with(lambda request: encode_result(request.id, other))
    assert device.hello().protocol_minor == spoken


def test_hello_of_a_session_is_the_same_on_each_connection(device_with):
    greetings: list[HelloParams] = []

    def answer(request: Request) -> bytes | None:
        if request.method == "hello":
            greetings.append(msgspec.json.decode(request.params, type=HelloParams))
        return polite(measured if len(greetings) > 1 else hang_up)(request)

    device, _ = device_with(answer, answer)
    device.acquire("test")
    device.measure(JOB)
    first, second = greetings
    assert first == second
    assert first.session_id
    assert device_with(answer)[0].hello()
    assert greetings[2].session_id != first.session_id


@pytest.mark.parametrize("known", [False, True])
def test_an_agent_that_does_not_know_early_ends_is_not_asked_for_one(device_with, known):
    hello = msgspec.structs.replace(HELLO, capabilities=("measure.end_early",) if known else ())
    asked: list[MeasureParams] = []

    def answer(request: Request) -> bytes | None:
        if request.method == "hello":
            return encode_result(request.id, hello)
        if request.method == "measure":
            asked.append(msgspec.json.decode(request.params, type=MeasureParams))
        return polite(measured)(request)

    device, _ = device_with(answer)
    device.acquire("test")
    device.measure(msgspec.structs.replace(JOB, may_end_early=True))
    assert [params.job.may_end_early is True for params in asked] == [known]


def test_where_leases_are_taken_over_a_busy_device_is_busy_even_for_oneself(device_with):
    holder = BusyHolder("me", os.getpid(), 0.0, "another session")
    taking_over = msgspec.structs.replace(HELLO, capabilities=("lease.takeover",))

    def answer(request: Request) -> bytes | None:
        if request.method == "hello":
            return encode_result(request.id, taking_over)
        if request.method == "acquire":
            return refuse(request, ErrorCode.BUSY, "busy", busy=holder)
        return polite(measured)(request)

    device, _ = device_with(polite(hang_up), answer)
    device.acquire("test")
    with pytest.raises(DeviceBusyError, match="another session"):
        device.measure(JOB)


def test_a_job_left_by_a_killed_host_is_waited_for_and_seldom_disturbed(device_with, monkeypatch):
    pauses_s: list[float] = []
    monkeypatch.setattr("hytnas_host.devices.client.time.sleep", pauses_s.append)
    pending = iter([("old",), ("old",), ()])
    asked: list[str] = []

    def answer(request: Request) -> bytes | None:
        asked.append(request.method)
        if request.method == "result":
            return encode_result(request.id, ResultResult((), next(pending)))
        return polite(measured)(request)

    device, _ = device_with(answer)
    told: list[str] = []
    device.say = told.append
    device.acquire("test")
    assert asked.count("result") == 3
    assert sum(pauses_s) >= 10
    assert told == ["board: waiting for job old of an earlier command of yours to end, 15 minutes at most"]


def test_a_job_that_never_ends_is_not_waited_for_without_end(device_with, monkeypatch):
    monkeypatch.setattr("hytnas_host.devices.client.EARLIER_JOB_WAIT_S", 0.0)

    def answer(request: Request) -> bytes | None:
        if request.method == "result":
            return encode_result(request.id, ResultResult((), ("old", "older")))
        return polite(measured)(request)

    device, _ = device_with(answer)
    with pytest.raises(DeviceRefusedError, match="has not ended 2 jobs of an earlier command"):
        device.acquire("test")


class DamagingSpool(Spool):
    """Finds so many uploads damaged."""

    def __init__(self, damaged: int) -> None:
        super().__init__()
        self.damaged = damaged

    def __call__(self, request: Request) -> bytes:
        if request.method == "spool_commit" and self.damaged:
            self.damaged -= 1
            return refuse(request, ErrorCode.HASH_MISMATCH, "does not have that hash")
        return super().__call__(request)


def content(folder: Path) -> tuple[Path, str]:
    file = folder / "m.onnx"
    file.write_bytes(b"model")
    return file, hashlib.sha256(b"model").hexdigest()


def test_damaged_upload_is_made_again_under_the_same_name(device_with, tmp_path):
    file, sha256 = content(tmp_path)
    device, transport = device_with(polite(DamagingSpool(2)))
    device.acquire("test")
    device.push(file, sha256, ".onnx")
    assert len(transport.put_files) == 3
    assert len(set(transport.put_files)) == 1


def test_uploads_that_always_arrive_damaged_are_one_clear_error(device_with, tmp_path):
    file, sha256 = content(tmp_path)
    device, transport = device_with(polite(DamagingSpool(99)))
    device.acquire("test")
    with pytest.raises(DeviceError, match=r"arrived damaged on 'board' 3 times.*memory card"):
        device.push(file, sha256, ".onnx")
    assert len(transport.put_files) == 3


def test_file_that_has_changed_is_not_pushed_and_no_device_is_blamed(device_with, tmp_path):
    file, _ = content(tmp_path)
    device, transport = device_with(polite(Spool()))
    device.acquire("test")
    with pytest.raises(FileChangedError, match="has changed"):
        device.push(file, "0" * 64, ".onnx")
    assert not transport.put_files


def test_link_lost_in_a_push_is_made_anew(device_with, tmp_path, monkeypatch):
    file, sha256 = content(tmp_path)
    device, transport = device_with(polite(Spool()), polite(Spool()))
    put, losses = transport.put, iter([True])

    def losing(file: Path, destination: str) -> None:
        if next(losses, False):
            raise ConnectionResetError("the link is gone")
        put(file, destination)

    monkeypatch.setattr(transport, "put", losing)
    device.acquire("test")
    device.push(file, sha256, ".onnx")
    assert (len(transport.put_files), transport.connections) == (1, 2)


def held_by_another(request: Request) -> bytes:
    return refuse(request, ErrorCode.BUSY, "busy", busy=BusyHolder("ada@desk", 4711, 0.0, "collect latency"))


def test_lease_lost_in_a_push_is_not_pushed_without(device_with, tmp_path, monkeypatch):
    """By now somebody else may be measuring there."""
    file, sha256 = content(tmp_path)
    asked: list[str] = []

    def answer(request: Request) -> bytes | None:
        asked.append(request.method)
        return held_by_another(request) if request.method == "acquire" else polite(Spool())(request)

    device, transport = device_with(polite(Spool()), answer)
    put, losses = transport.put, iter([True])

    def losing(file: Path, destination: str) -> None:
        if next(losses, False):
            raise ConnectionResetError("the link is gone")
        put(file, destination)

    monkeypatch.setattr(transport, "put", losing)
    device.acquire("test")
    with pytest.raises(DeviceBusyError, match="collect latency"):
        device.push(file, sha256, ".onnx")
    assert transport.put_files == []
    assert asked == ["hello", "acquire"]


def test_connection_lost_before_a_commit_takes_the_lease_first(device_with, tmp_path):
    file, sha256 = content(tmp_path)
    asked: list[str] = []

    def losing(request: Request) -> bytes:
        return hang_up(request) if request.method == "spool_commit" else Spool()(request)

    def answer(request: Request) -> bytes | None:
        asked.append(request.method)
        return held_by_another(request) if request.method == "acquire" else polite(Spool())(request)

    device, _ = device_with(polite(losing), answer)
    device.acquire("test")
    with pytest.raises(DeviceBusyError, match="collect latency"):
        device.push(file, sha256, ".onnx")
    assert asked == ["hello", "acquire"]


def test_damaged_upload_is_not_made_again_once_another_has_the_lease(device_with, tmp_path):
    file, sha256 = content(tmp_path)
    damaging = DamagingSpool(99)
    lost = threading.Event()

    def answer(request: Request) -> bytes | None:
        if request.method == "heartbeat" and lost.is_set():
            return refuse(request, ErrorCode.STALE_TOKEN, "stale")
        if request.method == "acquire" and lost.is_set():
            return held_by_another(request)
        if request.method == "spool_commit":
            lost.set()
        return polite(damaging)(request)

    device, transport = device_with(answer)
    device.acquire("test")
    with pytest.raises(DeviceBusyError, match="collect latency"):
        device.push(file, sha256, ".onnx")
    assert len(transport.put_files) == 1


def test_board_that_stays_away_in_a_push_is_one_clear_error(device_with, tmp_path, monkeypatch):
    file, sha256 = content(tmp_path)
    device, transport = device_with(polite(Spool()))

    def lost(file: Path, destination: str) -> None:
        raise ConnectionResetError("the link is gone")

    monkeypatch.setattr(transport, "put", lost)
    device.acquire("test")
    with pytest.raises(DeviceError, match=r"device 'board' not reachable.*run the same command"):
        device.push(file, sha256, ".onnx")


def test_many_acknowledgements_go_in_several_messages(device_with, monkeypatch):
    monkeypatch.setattr("hytnas_host.devices.client.ACKNOWLEDGED_AT_ONCE", 2)
    told: list[tuple[str, ...]] = []

    def answer(request: Request) -> bytes | None:
        if request.method == "acknowledge":
            told.append(msgspec.json.decode(request.params, type=JobIdsParams).job_ids)
            return encode_result(request.id, AcknowledgeResult(len(told[-1])))
        return polite(measured)(request)

    device, _ = device_with(answer)
    device.acknowledge(["a", "b", "c"])
    device.acknowledge([])
    assert told == [("a", "b"), ("c",)]


def test_agent_that_has_more_results_and_sends_none_is_one_clear_error(device_with):
    def answer(request: Request) -> bytes | None:
        if request.method == "result":
            return encode_result(request.id, ResultResult((), more=True))
        return polite(measured)(request)

    device, _ = device_with(answer)
    with pytest.raises(DeviceError, match="has more results and sends none"):
        device.results(["a"])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_watcher_that_fails_ends_the_connection_and_not_the_patience(device_with):
    def answer(request: Request) -> bytes:
        return encode_notification("progress", Progress(JOB.job_id, "started"))

    def fail(stage: str) -> None:
        raise ValueError(stage)

    device, transport = device_with(polite(answer), polite(measured))
    device.acquire("test")
    assert device.measure(JOB, fail).outcome is Outcome.OK
    assert transport.connections == 2


@pytest.mark.parametrize(
    ("job", "what"),
    [
        (msgspec.structs.replace(JOB, measure_pass="profile"), "measure profile"),
        (msgspec.structs.replace(JOB, measure_pass="energy"), "measure energy"),
        (msgspec.structs.replace(JOB, measure_pass="sustained"), "measure sustained"),
        (
            msgspec.structs.replace(
                JOB, settings=msgspec.structs.replace(JOB.settings, inputs_sha256="a" * 64)
            ),
            "run models with inputs that are given",
        ),
    ],
    ids=["profile", "energy", "sustained", "inputs"],
)
def test_what_the_agent_is_too_old_for_is_not_asked_of_it(device_with, job, what):
    asked: list[str] = []

    def answer(request: Request) -> bytes | None:
        asked.append(request.method)
        if request.method == "hello":
            return encode_result(request.id, msgspec.structs.replace(HELLO, capabilities=("measure.timed",)))
        return polite(measured)(request)

    device, _ = device_with(answer)
    device.acquire("test")
    with pytest.raises(DeviceError, match=f"too old to {what}") as raised:
        device.measure(job)
    assert "device provision" in raised.value.next_step
    assert "measure" not in asked
