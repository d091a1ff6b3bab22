"""The server as its clients see it, with real processes."""

import contextlib
import fcntl
import os
import resource
import shutil
import signal
import socket
import sqlite3
import stat
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hytnas_agent import wire
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import (
    MAX_MESSAGE_BYTES,
    PROTOCOL_MINOR,
    CancelParams,
    DescribeParams,
    ErrorCode,
    HelloParams,
    JobIdsParams,
    MeasureParams,
    MeasureResult,
    Nothing,
    ResultParams,
    RpcError,
    SpoolStatParams,
    TokenParams,
)
from hytnas_agent.records import Outcome

from .conftest import (
    LATE,
    QUICK,
    AgentUnderTest,
    Models,
    make_job,
    server_pid,
    sha256,
    start_endless,
    start_server,
    wait_until,
    worker_of,
    workers,
)

Connect = Callable[..., AgentUnderTest]


@pytest.fixture
def agent(connect: Connect, models: Models) -> AgentUnderTest:
    """A client that holds the lease, with the tiny and the endless model in the spool."""
    agent = connect()
    agent.acquire()
    agent.upload(models.tiny)
    agent.upload(models.endless)
    return agent


def code_of(call: Callable[..., object], *arguments: object) -> int:
    with pytest.raises(RpcError) as raised:
        call(*arguments)
    return raised.value.code


def is_gone(pid: int) -> bool:
    """Whether the process has ended, be it that nobody has collected it yet."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def test_a_job_is_measured_and_its_progress_told(agent: AgentUnderTest, models: Models) -> None:
    agent.upload(models.inputs)
    agent.upload(models.outputs)
    measured = agent.measure(make_job(models.tiny, reference=models.reference))
    assert (measured.result.outcome, measured.replayed) == (Outcome.OK, False)
    assert measured.result.parity is not None
    assert [note.stage for note in agent.notes] == ["queued", "started", "finished"]


def test_a_job_that_asks_for_it_is_not_held_back(agent: AgentUnderTest, models: Models) -> None:
    assert agent.measure(make_job(models.tiny)).result.gate is not None
    at_once = agent.measure(make_job(models.tiny, "at once", gate=False)).result
    assert at_once.outcome is Outcome.OK
    assert at_once.gate is None


def test_the_same_job_again_is_answered_from_the_journal(agent: AgentUnderTest, models: Models) -> None:
    first = agent.measure(make_job(models.tiny))
    again = agent.measure(make_job(models.tiny))
    assert again.replayed
    assert again.result == first.result
    assert agent.measure(make_job(models.tiny, "another")).result.samples_ms != first.result.samples_ms


def test_an_id_stands_for_one_job(agent: AgentUnderTest, models: Models) -> None:
    agent.measure(make_job(models.tiny))
    assert code_of(agent.measure, make_job(models.endless)) == ErrorCode.JOB_CONFLICT


def test_a_job_asked_again_may_or_may_not_end_early(agent: AgentUnderTest, models: Models) -> None:
    first = agent.measure(make_job(models.tiny))
    again = agent.measure(make_job(models.tiny, may_end_early=True))
    assert (again.replayed, again.result) == (True, first.result)


def test_the_agent_goes_on_after_whatever_a_model_does(agent: AgentUnderTest, models: Models) -> None:
    agent.upload(models.corrupt)
    agent.upload(models.huge)
    small = msgspec.structs.replace(QUICK, memory_limit_bytes=256 << 20)
    short = msgspec.structs.replace(QUICK, deadline_s=1.0)
    jobs = [
        (make_job(models.corrupt, "corrupt"), {Outcome.INVALID_MODEL}),
        (make_job(models.huge, "huge", small), {Outcome.OOM}),
        (make_job(models.endless, "endless", short), LATE),
        (make_job(models.tiny, "tiny"), {Outcome.OK}),
    ]
    for job, outcomes in jobs:
        assert agent.measure(job).result.outcome in outcomes


def test_a_worker_killed_from_outside_is_a_crash(agent: AgentUnderTest, models: Models) -> None:
    start_endless(agent, models)
    os.kill(worker_of(agent.state, "endless"), signal.SIGKILL)
    result = wire.decode_result(agent.receive(), MeasureResult).result
    assert (result.outcome, result.signal) == (Outcome.CRASH, "SIGKILL")
    assert agent.measure(make_job(models.tiny)).result.outcome is Outcome.OK


def test_a_running_job_is_cancelled_at_once(agent: AgentUnderTest, models: Models) -> None:
    measuring = start_endless(agent, models)
    agent.send("heartbeat", TokenParams(agent.token))
    cancelling = agent.send("cancel", CancelParams("endless"))
    responses = {}
    while cancelling not in responses or measuring not in responses:
        response = agent.receive()
        responses[response.id] = response
    assert len(responses) == 3
    assert wire.decode_result(responses[measuring], MeasureResult).result.outcome is Outcome.CANCELLED
    assert agent.ask("cancel", CancelParams("endless")).state == "finished"
    assert agent.ask("cancel", CancelParams("never heard of")).state == "unknown"


def test_a_waiting_job_is_cancelled_unrun(agent: AgentUnderTest, models: Models) -> None:
    start_endless(agent, models)
    waiting = agent.send("measure", MeasureParams(make_job(models.tiny, "waiting"), agent.token))
    agent.send("cancel", CancelParams("waiting"))
    response = agent.receive()
    assert response.id == waiting
    result = wire.decode_result(response, MeasureResult).result
    assert (result.outcome, result.wall_s) == (Outcome.CANCELLED, 0)


def test_only_its_client_cancels_a_job(agent: AgentUnderTest, models: Models, connect: Connect) -> None:
    start_endless(agent, models)
    assert connect("other").ask("cancel", CancelParams("endless")).state == "unknown"
    assert workers(agent.state)


def test_the_second_client_finds_the_device_busy(agent: AgentUnderTest, connect: Connect) -> None:
    other = connect("other")
    with pytest.raises(RpcError, match="client@test") as raised:
        other.acquire()
    assert raised.value.busy.pid == os.getpid()
    assert raised.value.busy.reason == "testing"
    agent.ask("release", TokenParams(agent.token))
    assert other.acquire() > agent.token
    assert code_of(agent.ask, "heartbeat", TokenParams(agent.token)) == ErrorCode.STALE_TOKEN


def test_the_lease_ends_with_the_connection(agent: AgentUnderTest, models: Models, connect: Connect) -> None:
    other = connect("other")
    assert code_of(other.measure, make_job(models.tiny)) == ErrorCode.STALE_TOKEN
    agent.close()

    def acquired() -> bool:
        try:
            return other.acquire() > 0
        except RpcError:
            return False

    wait_until(acquired)
    assert other.measure(make_job(models.tiny)).result.outcome is Outcome.OK


def test_a_silent_holder_loses_the_device(connect: Connect) -> None:
    silent, other = connect("silent"), connect("other")
    silent.acquire(ttl_s=1.0)
    assert code_of(other.acquire) == ErrorCode.BUSY
    wait_until(lambda: '"holder":null' in silent.state.lease.read_text())
    other.acquire()
    assert code_of(silent.ask, "heartbeat", TokenParams(silent.token)) == ErrorCode.STALE_TOKEN


def test_a_client_that_returns_attaches_to_its_running_job(
    agent: AgentUnderTest, models: Models, connect: Connect
) -> None:
    settings = msgspec.structs.replace(QUICK, deadline_s=3.0)
    job = make_job(models.endless, "long", settings)
    agent.send("measure", MeasureParams(job, agent.token))
    worker_of(agent.state, "long")
    agent.send("measure", MeasureParams(make_job(models.tiny, "dropped"), agent.token))
    stranger = connect("stranger")
    agent.close()
    assert code_of(stranger.acquire) == ErrorCode.BUSY
    again = connect()
    wait_until(lambda: again.ask("result", ResultParams()).pending == ("long",))
    again.acquire()
    measured = again.measure(job)
    assert measured.result.outcome in LATE
    assert not measured.replayed
    assert [result.job_id for result in again.ask("result", ResultParams()).results] == ["long"]


def test_results_survive_a_killed_server_until_acknowledged(
    agent: AgentUnderTest, models: Models, connect: Connect
) -> None:
    done = agent.measure(make_job(models.tiny, "done")).result
    start_endless(agent, models)
    worker = worker_of(agent.state, "endless")
    os.kill(server_pid(agent.state), signal.SIGKILL)
    wait_until(lambda: is_gone(worker))
    with pytest.raises((EOFError, ConnectionError)):
        agent.ask("doctor", Nothing())
    assert agent.state.socket.exists()
    again = connect()
    assert again.ask("result", ResultParams()).results == (done,)
    again.acquire()
    assert again.measure(make_job(models.tiny, "done")).replayed
    assert connect("other").ask("result", ResultParams()).results == ()
    assert again.ask("acknowledge", JobIdsParams(("done",))).acknowledged == 1
    assert again.ask("result", ResultParams()).results == ()
    assert again.ask("result", ResultParams(("done",))).results == (done,)


def test_a_job_that_takes_the_agent_down_is_given_up(
    agent: AgentUnderTest, models: Models, connect: Connect
) -> None:
    job = make_job(models.tiny)
    agent.measure(job)
    with sqlite3.connect(agent.state.journal) as database:
        database.execute("UPDATE jobs SET result = NULL, attempts = 3")
    database.close()
    result = agent.measure(job).result
    assert result.outcome is Outcome.INTERNAL
    assert "3 times" in result.message


def test_a_model_that_was_not_uploaded_is_asked_for(agent: AgentUnderTest, models: Models) -> None:
    job = make_job(models.corrupt)
    assert code_of(agent.measure, job) == ErrorCode.NOT_SPOOLED
    agent.upload(models.corrupt)
    assert agent.ask("spool_stat", SpoolStatParams((f"{job.model_sha256}.onnx",))).present
    assert agent.measure(job).result.outcome is Outcome.INVALID_MODEL


def test_files_of_the_spool_that_have_changed_are_asked_for_again(
    agent: AgentUnderTest, models: Models
) -> None:
    files = (models.tiny, models.inputs, models.outputs)
    names = [f"{sha256(file)}{file.suffix}" for file in files]
    for name, file in zip(names, files, strict=True):
        agent.upload(file)
        content = file.read_bytes()
        (agent.state.spool / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    job = make_job(models.tiny, reference=models.reference)
    with pytest.raises(RpcError, match=f"damaged, and was removed: {', '.join(names)}") as refused:
        agent.measure(job)
    assert refused.value.code == ErrorCode.NOT_SPOOLED
    for file in files:
        assert not agent.upload(file).already
    assert agent.measure(job).result.outcome is Outcome.OK


def test_work_beside_a_job_waits_for_it(agent: AgentUnderTest, models: Models) -> None:
    settings = msgspec.structs.replace(QUICK, deadline_s=1.5)
    job = make_job(models.endless, "long", settings)
    measuring = agent.send("measure", MeasureParams(job, agent.token))
    worker_of(agent.state, "long")
    describing = agent.send("describe", DescribeParams())
    beating = agent.send("heartbeat", TokenParams(agent.token))
    order = [agent.receive().id for _ in range(3)]
    assert order == [beating, measuring, describing]


def test_describe_and_doctor_answer(agent: AgentUnderTest) -> None:
    described = agent.ask("describe", DescribeParams(threads=2))
    assert described.context.threads == 2
    assert described.context.runtime == "onnxruntime"
    assert described.identity == agent.hello().identity
    names = [check.name for check in agent.ask("doctor", Nothing()).checks]
    assert "runtime onnxruntime" in names
    assert len(names) == len(set(names))


# --- Manners -------------------------------------------------------------------------------------------


def test_hello_comes_first(connect: Connect) -> None:
    stranger = connect(hello=False)
    assert code_of(stranger.ask, "describe", DescribeParams()) == ErrorCode.HELLO_REQUIRED
    assert stranger.hello().protocol_major == 1


def test_another_protocol_major_is_refused(connect: Connect) -> None:
    stranger = connect(hello=False)
    with pytest.raises(RpcError, match="protocol 1, the host 2") as raised:
        stranger.ask("hello", HelloParams(2, 0, "me", client_version="7.0"))
    assert raised.value.code == ErrorCode.PROTOCOL_MISMATCH
    assert "hytnas-profile device provision" in raised.value.next_step


def test_another_major_is_told_so_whatever_else_its_hello_holds(connect: Connect) -> None:
    stranger = connect(hello=False)
    stranger.sock.sendall(
        b'{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol_major":2,"client_id":7,"new":[]}}\n'
    )
    assert stranger.receive().error.code == ErrorCode.PROTOCOL_MISMATCH


@pytest.mark.parametrize(
    ("spoken", "agreed"), [(0, 0), (PROTOCOL_MINOR, PROTOCOL_MINOR), (99, PROTOCOL_MINOR)]
)
def test_both_speak_the_lower_minor(connect: Connect, models: Models, spoken: int, agreed: int) -> None:
    agent = connect(hello=False)
    assert agent.hello(protocol_minor=spoken).protocol_minor == agreed
    agent.acquire()
    agent.upload(models.tiny)
    assert agent.measure(make_job(models.tiny)).result.outcome is Outcome.OK


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"nonsense", ErrorCode.PARSE_ERROR),
        (b"[1, 2]", ErrorCode.INVALID_REQUEST),
        (b'{"jsonrpc":"1.0","id":1,"method":"hello"}', ErrorCode.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"method":"shell"}', ErrorCode.METHOD_NOT_FOUND),
        (b'{"jsonrpc":"2.0","id":1,"method":"hello","params":{}}', ErrorCode.INVALID_PARAMS),
        (b'{"params":' + b"[" * 100_000, ErrorCode.PARSE_ERROR),
    ],
)
def test_malformed_lines_are_answered(connect: Connect, line: bytes, code: int) -> None:
    agent = connect(hello=False)
    agent.sock.sendall(line + b"\n")
    response = agent.receive()
    assert response.error.code == code
    agent.hello()


def test_a_message_too_long_is_answered_and_the_next_one_read(connect: Connect) -> None:
    agent = connect()
    agent.sock.sendall(b'"' + b"x" * (2 * MAX_MESSAGE_BYTES) + b'"\n\n')
    assert agent.receive().error.code == ErrorCode.MESSAGE_TOO_LARGE
    agent.hello()


def test_notifications_are_not_answered(connect: Connect) -> None:
    agent = connect()
    agent.sock.sendall(b'{"jsonrpc":"2.0","method":"release","params":{"token":1}}\n')
    agent.hello()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(junk=st.binary(max_size=300))
def test_no_bytes_bring_the_server_down(fuzzed: AgentUnderTest, junk: bytes) -> None:
    fuzzed.sock.sendall(junk + b"\n")
    wanted = fuzzed.send("spool_stat", SpoolStatParams())
    while True:
        response = fuzzed.receive()
        if response.id == wanted:
            break
        assert response.error.code in (
            ErrorCode.PARSE_ERROR,
            ErrorCode.INVALID_REQUEST,
            ErrorCode.METHOD_NOT_FOUND,
        )


@pytest.fixture
def fuzzed(connect: Connect) -> AgentUnderTest:
    return connect()


def test_a_client_that_vanishes_in_the_middle_of_a_line_disturbs_nobody(connect: Connect) -> None:
    vanishing, other = connect(), connect("other")
    vanishing.sock.sendall(b'{"jsonrpc":')
    vanishing.close()
    other.hello()


# --- Life and death ------------------------------------------------------------------------------------


def test_the_socket_is_private(connect: Connect, state: StateFolder) -> None:
    connect()
    assert stat.S_IMODE(state.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.root.stat().st_mode) == 0o700


def test_sigterm_stops_it_cleanly_and_the_job_may_run_again(
    agent: AgentUnderTest, models: Models, connect: Connect
) -> None:
    measuring = start_endless(agent, models)
    os.kill(server_pid(agent.state), signal.SIGTERM)
    response = agent.receive()
    assert (response.id, response.error.code) == (measuring, ErrorCode.SHUTTING_DOWN)
    wait_until(lambda: server_pid(agent.state) is None)
    with contextlib.closing(sqlite3.connect(agent.state.journal)) as journal:
        # Handed back: this was no attempt at which the agent went down.
        assert journal.execute("SELECT job_id, attempts FROM jobs").fetchall() == [("endless", 0)]
    again = connect()
    assert again.ask("result", ResultParams(("endless",))).results == ()
    again.acquire()


def test_a_server_that_never_ends_tidies_up_after_each_holder(
    agent: AgentUnderTest, state: StateFolder
) -> None:
    abandoned = state.incoming / "abandoned"
    abandoned.write_bytes(b"1")
    os.utime(abandoned, (0, 0))
    agent.ask("release", TokenParams(agent.token))
    wait_until(lambda: not abandoned.exists())


def test_a_server_whose_folder_was_deleted_leaves_its_successor_the_socket(state: StateFolder) -> None:
    first = start_server(state)
    shutil.rmtree(state.root)
    second = start_server(state)
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0
    assert server_pid(state) == second.pid


def test_links_and_folders_in_the_spool_are_in_nobodys_way(
    state: StateFolder, connect: Connect, models: Models
) -> None:
    state.create()
    (state.spool / f"{sha256(models.tiny)}.onnx").symlink_to(f"{sha256(models.tiny)}.onnx")
    (state.spool / f"{'d' * 64}.onnx").symlink_to("nowhere")
    (state.spool / f"{'e' * 64}.npz").mkdir()
    (state.incoming / "dangling").symlink_to("nowhere")
    (state.incoming / "folder").mkdir()
    os.utime(state.incoming / "folder", (0, 0))
    os.utime(state.incoming / "dangling", (0, 0), follow_symlinks=False)
    agent = connect()
    agent.upload(models.tiny)
    assert not (state.spool / f"{sha256(models.tiny)}.onnx").is_symlink()
    assert not (state.incoming / "dangling").is_symlink()


def test_a_server_without_descriptors_turns_clients_away_and_goes_on(
    state: StateFolder, connect: Connect
) -> None:
    server = start_server(state)
    connect().ask("describe", DescribeParams())
    used = max(map(int, os.listdir(f"/proc/{server.pid}/fd"))) + 1
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used, used + 40))
    with contextlib.ExitStack() as clients:
        for _ in range(30):  # whatever numbers are free below the limit are taken first
            client = clients.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(0.5)
            client.connect(str(state.socket))
            with contextlib.suppress(TimeoutError):
                assert client.recv(1) == b""
                break
        else:
            pytest.fail("nobody was turned away")
        before = cpu_seconds(server.pid)
        clients.enter_context(socket.socket(socket.AF_UNIX)).connect(str(state.socket))
        time.sleep(0.5)
        assert cpu_seconds(server.pid) - before < 0.3
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 40, used + 40))
    connect().ask("describe", DescribeParams())


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_exit_status_of_a_stopped_server_is_0(state: StateFolder) -> None:
    server = start_server(state)
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0


def test_a_server_whose_state_folder_is_gone_ends(state: StateFolder, connect: Connect) -> None:
    server = start_server(state)
    agent = connect()
    agent.acquire()
    shutil.rmtree(state.root)
    agent.close()
    assert server.wait(60) == 1


def test_an_idle_server_ends_but_not_before_its_client(state: StateFolder, connect: Connect) -> None:
    server = start_server(state, idle_exit_s=1.0)
    agent = connect()
    time.sleep(1.5)
    agent.hello()
    agent.close()
    assert server.wait(60) == 0
    assert not state.socket.exists()


def test_the_server_imports_neither_numpy_nor_a_runtime(agent: AgentUnderTest, models: Models) -> None:
    agent.measure(make_job(models.tiny))
    agent.ask("describe", DescribeParams())
    mapped = Path(f"/proc/{server_pid(agent.state)}/maps").read_text()
    assert "msgspec" in mapped
    assert "numpy" not in mapped
    assert "onnxruntime" not in mapped


def test_jobs_run_in_the_order_they_came(agent: AgentUnderTest, models: Models) -> None:
    wanted = [
        agent.send("measure", MeasureParams(make_job(models.tiny, f"job-{i}"), agent.token)) for i in range(3)
    ]
    assert [agent.receive().id for _ in wanted] == wanted
    assert [note.queued_before for note in agent.notes if note.stage == "queued"] == [0, 1, 2]


def test_a_timed_run_is_known_to_the_machine(agent: AgentUnderTest, models: Models) -> None:
    def locked() -> bool:
        with agent.state.timed_lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    agent.measure(make_job(models.tiny))
    assert not locked()
    agent.send(
        "measure", MeasureParams(make_job(models.endless, "memory", measure_pass="memory"), agent.token)
    )
    worker_of(agent.state, "memory")
    assert not locked()
    agent.send("cancel", CancelParams("memory"))
    start_endless(agent, models, "timed")
    assert locked()
    agent.close()  # as when its host is killed
    assert locked()
