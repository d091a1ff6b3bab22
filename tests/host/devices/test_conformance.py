"""What every device and its transport must do, whatever lies between host and agent."""

import hashlib
import os
import signal
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from hytnas_agent.protocol import PROTOCOL_MAJOR, PROTOCOL_MINOR, HelloParams
from hytnas_agent.records import MeasureJob, MeasureSettings, Outcome
from hytnas_agent.wire import encode_request
from hytnas_host.devices.errors import DeviceBusyError, DeviceError, FileChangedError

QUICK = MeasureSettings(
    warmup_window=3, warmup_max_runs=6, min_runs=5, max_runs=5, timed_budget_s=0.01, deadline_s=60
)
# Keeps its process busy for seconds, so that a test can interfere.
LONG = MeasureSettings(min_runs=10, max_runs=20_000, timed_budget_s=3.0, deadline_s=60)


def job(sha256: str, settings: MeasureSettings = QUICK) -> MeasureJob:
    return MeasureJob(uuid.uuid4().hex, sha256, "onnx", settings)


@pytest.fixture
def ready(open_device, model):
    """A device with its lease and a pushed model, and a job for it."""
    device = open_device()
    device.acquire("test")
    device.push(model[0], model[1], ".onnx")
    return device


@pytest.fixture
def slow_model(ready, tmp_path, write_model) -> str:
    """The hash of a pushed model with which ``LONG`` takes seconds."""
    path, sha256 = write_model(tmp_path, 1024)
    ready.push(path, sha256, ".onnx")
    return sha256


def test_describes_itself_the_same_twice(open_device):
    device = open_device()
    first, second = device.describe(), device.describe()
    assert first.identity == second.identity
    assert first.context == second.context
    assert first.identity.device_id
    assert any(runtime.usable for runtime in first.runtimes)


def test_measures_in_the_context_it_describes(ready, model):
    result = ready.measure(job(model[1]))
    assert (result.outcome, result.message) == (Outcome.OK, "")
    assert len(result.samples_ms) >= QUICK.min_runs
    assert result.settings == QUICK
    assert result.identity == ready.describe().identity
    assert result.context == ready.describe(threads=1).context


def test_same_job_again_gives_the_same_result(ready, model, open_device):
    asked = job(model[1])
    first = ready.measure(asked)
    assert ready.measure(asked) == first
    ready.acknowledge([asked.job_id])
    assert ready.measure(asked) == first
    ready.close()
    restarted = open_device()
    restarted.acquire("test")
    assert restarted.measure(asked) == first


def test_memory_pass_reports_the_peak(ready, model):
    result = ready.measure(MeasureJob("memory-1", model[1], "onnx", QUICK, measure_pass="memory"))
    assert result.outcome is Outcome.OK
    assert result.peak_rss_bytes > 1_000_000


def test_progress_is_told(ready, model):
    stages: list[str] = []
    ready.measure(job(model[1]), stages.append)
    assert "started" in stages


def test_corrupt_model_is_an_outcome(ready, tmp_path):
    file = tmp_path / "corrupt.onnx"
    file.write_bytes(b"this is no model")
    sha256 = hashlib.sha256(b"this is no model").hexdigest()
    ready.push(file, sha256, ".onnx")
    assert ready.measure(job(sha256)).outcome is Outcome.INVALID_MODEL


def test_file_that_is_not_what_it_is_said_to_be_is_refused(open_device, model):
    device = open_device()
    device.acquire("test")
    with pytest.raises(FileChangedError, match="has changed since it was made"):
        device.push(model[0], "0" * 64, ".onnx")


def test_model_that_was_not_pushed_is_refused(open_device):
    device = open_device()
    device.acquire("test")
    with pytest.raises(DeviceError):
        device.measure(job("0" * 64))


def test_a_model_that_changed_on_the_device_is_pushed_again(ready, model):
    spooled = Path(ready.hello().spool_path) / f"{model[1]}.onnx"
    content = spooled.read_bytes()
    spooled.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert ready.measure(job(model[1])).outcome is Outcome.OK
    assert spooled.read_bytes() == content


def test_second_client_is_told_who_holds_the_device(ready, open_device):
    other = open_device("another")
    with pytest.raises(DeviceBusyError, match=f"{os.getpid()}.*test"):
        other.acquire("also wanted")
    ready.acquire("for something else")
    with pytest.raises(DeviceBusyError, match="for something else"):
        other.acquire("also wanted")
    ready.release()
    other.acquire("also wanted")
    other.close()
    ready.acquire("again")


def measure_in_thread(device, asked) -> tuple[threading.Thread, list]:
    results: list = []
    started = threading.Event()

    def run() -> None:
        try:
            results.append(device.measure(asked, lambda stage: stage == "started" and started.set()))
        except DeviceError as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not started.wait(0.05):
        assert not results, results
    return thread, results


def test_cancelled_job_ends_as_such(ready, slow_model):
    asked = job(slow_model, LONG)
    thread, results = measure_in_thread(ready, asked)
    ready.cancel(asked.job_id)
    thread.join(60)
    assert results[0].outcome is Outcome.CANCELLED


def test_cut_connection_loses_nothing(ready, slow_model):
    asked = job(slow_model, LONG)
    thread, results = measure_in_thread(ready, asked)
    ready._session._link._connection.close()
    thread.join(60)
    assert results[0].outcome is Outcome.OK
    assert ready.measure(asked) == results[0]


def test_killed_agent_is_started_again_and_asked_again(ready, slow_model):
    asked = job(slow_model, LONG)
    before = ready.hello().agent_pid
    thread, results = measure_in_thread(ready, asked)
    os.kill(before, signal.SIGKILL)
    thread.join(120)
    assert results[0].outcome is Outcome.OK
    assert ready.hello().agent_pid != before


def test_nothing_is_pushed_where_another_took_the_device_meanwhile(
    ready, open_device, transport, tmp_path, monkeypatch
):
    file = tmp_path / "second.onnx"
    file.write_bytes(b"second")
    sha256 = hashlib.sha256(b"second").hexdigest()
    other = open_device("another")
    put, losses = transport.put, iter([True])

    def losing(file: Path, destination: str) -> None:
        if next(losses, False):
            ready._session._link.close()
            acquire_once_free(other)
            raise ConnectionResetError("the link is gone")
        put(file, destination)

    monkeypatch.setattr(transport, "put", losing)
    with pytest.raises(DeviceBusyError, match="the next"):
        ready.push(file, sha256, ".onnx")
    with pytest.raises(DeviceError, match="does not have"):
        other.measure(job(sha256))


def acquire_once_free(device) -> None:
    """Take the device as soon as its agent has noticed that the one before is gone."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return device.acquire("the next")
        except DeviceBusyError:
            assert time.monotonic() < deadline


def greeted(transport):
    """A connection with the agent at its other end."""
    connection = transport.connect()
    hello = HelloParams(PROTOCOL_MAJOR, PROTOCOL_MINOR, "greeter", "greeter", os.getpid(), "0.1.0")
    connection.send(encode_request(1, "hello", hello), 60.0)
    assert connection.receive()
    return connection


def test_connection_ends_once_and_for_all(transport, open_device):
    open_device().describe()
    connection = greeted(transport)
    connection.close()
    connection.close()
    assert connection.receive() == b""
    with pytest.raises(OSError, match=r"connection|pipe|descriptor|closed"):
        connection.send(b"{}\n", 1.0)


def functions_of(thread: threading.Thread) -> set[str]:
    """Names of the functions that a thread is in."""
    found, frame = set(), sys._current_frames().get(thread.ident)
    while frame is not None:
        found.add(frame.f_code.co_name)
        frame = frame.f_back
    return found


def test_closing_wakes_a_reader(transport, open_device):
    open_device().describe()
    connection = greeted(transport)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(connection.receive()))
    reader.start()
    while "receive" not in functions_of(reader):
        assert reader.is_alive()
    connection.close()
    reader.join(30)
    assert heard == [b""]


def test_put_reports_what_is_wrong(transport, tmp_path):
    with pytest.raises(DeviceError, match=r"absent\.bin"):
        transport.put(tmp_path / "absent.bin", str(tmp_path / "x"))
    file = tmp_path / "here.bin"
    file.write_bytes(b"1")
    with pytest.raises(DeviceError, match=r"here\.bin"):
        transport.put(file, str(Path("/nonexistent/folder/x")))
