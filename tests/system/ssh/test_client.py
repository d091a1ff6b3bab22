"""What a client does on a device, over OpenSSH's own server."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hytnas_agent.records import MeasureJob, MeasureSettings
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh import SshClient, SshLostError, SshTransport

pytestmark = pytest.mark.system

LARGE_BYTES = 400 << 20


@pytest.fixture
def client(sshd):
    with SshClient(sshd.settings) as client:
        yield client


def wait_until(happened) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "a b",
        "it's",
        '"',
        ";false",
        "$(false)",
        "`false`",
        "a\nb",
        "*",
        "\\",
        "~",
        "-n",
        "\u2028",
        "#",
        "!!",
    ],
)
def test_arguments_arrive_as_they_are(client, argument):
    done = client.run(["printf", "%s.", "first", argument, "last"])
    assert (done.status, done.stdout.decode()) == (0, f"first.{argument}.last.")


def test_streams_and_status_are_told_apart(client):
    done = client.run(["sh", "-c", "cat; echo wrong >&2; exit 3"], stdin=b"\0in\n")
    assert (done.status, done.stdout, done.stderr) == (3, b"\0in\n", b"wrong\n")
    assert done.last_error == "wrong"


def test_much_goes_in_and_out(client):
    data = os.urandom(3 << 20)
    assert client.run(["cat"], stdin=data).stdout == data
    assert client.run(["true"], stdin=data).status == 0


def test_program_that_is_missing_or_killed_has_a_status(client):
    missing = client.run(["no-such-program"])
    assert missing.status == 127
    assert "not found" in missing.last_error
    assert client.run(["sh", "-c", "kill -9 $$"]).status != 0


@pytest.mark.parametrize("stream", ["", " >&2"])
def test_program_that_says_too_much_is_cut_off(client, stream):
    with pytest.raises(DeviceError, match="over the limit of 1000 bytes"):
        client.run(["sh", "-c", f"yes{stream}"], limit_bytes=1000)
    assert client.run(["true"]).status == 0


def test_program_that_does_not_end_is_given_up(client):
    with pytest.raises(DeviceError, match="sleep did not end"):
        client.run(["sleep", "3"], timeout_s=0.2)


def test_everything_runs_over_one_connection(client, sshd, tmp_path):
    connection = client.open_exec(["cat"])
    client.run(["true"])
    client.make_folder(str(tmp_path / "a/b"))
    client.make_folder(str(tmp_path / "a/b"))
    assert sshd.connections == 1
    connection.send(b"still here", 10)
    assert connection.receive() == b"still here"
    connection.close()
    client.close()
    wait_until(lambda: sshd.connections == 0)


def test_lost_connection_is_made_anew_by_the_next_use(client, sshd):
    client.run(["true"])
    sshd.cut()
    wait_until(lambda: not client._connection.alive)
    assert client.run(["echo", "again"]).text == "again"


def test_files_arrive_whole_and_private(client, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(1 << 20))
    target = tmp_path / "target"
    client.put(source, str(target))
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600
    assert client.read_file(str(target), 1 << 20) == source.read_bytes()
    with pytest.raises(DeviceError, match="more than 1000 bytes"):
        client.read_file(str(target), 1000)
    assert client.read_file("/proc/cpuinfo", 1 << 20).startswith(b"processor")
    with pytest.raises(DeviceError, match="absent"):
        client.read_file(str(tmp_path / "absent"), 10)


def test_file_that_may_not_be_replaced_stays(client, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"new")
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(DeviceError, match="source cannot be transferred"):
        client.put(source, str(folder))
    assert folder.is_dir()


@pytest.fixture
def large(tmp_path) -> Path:
    """A file that takes long enough for something to happen meanwhile."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(LARGE_BYTES)
    return path


def put_in_thread(client, source: Path, target: Path) -> tuple[threading.Thread, list[Exception]]:
    errors: list[Exception] = []

    def put() -> None:
        try:
            client.put(source, str(target))
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=put)
    thread.start()
    wait_until(lambda: target.exists() and target.stat().st_size)
    return thread, errors


def test_link_cut_in_the_middle_of_a_file_leaves_nothing(client, sshd, large, tmp_path):
    target = tmp_path / "target"
    thread, errors = put_in_thread(client, large, target)
    sshd.cut()
    thread.join(60)
    assert [type(error) for error in errors] == [SshLostError]
    client.read_file("/proc/version", 1 << 16)
    assert not target.exists()


def test_interrupted_put_leaves_nothing(client, large, tmp_path):
    target = tmp_path / "target"

    def interrupt() -> None:
        wait_until(lambda: target.exists() and target.stat().st_size)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        client.put(large, str(target))
    # Where the interrupt tore a message of SSH's own, the connection ends, and the next one removes the part.
    client.read_file("/proc/version", 1 << 16)
    assert not target.exists()
    assert client.run(["echo", "fine"]).text == "fine"


def test_file_that_shrinks_while_it_is_sent_is_refused(client, tmp_path, monkeypatch):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"whole")
    monkeypatch.setattr("shutil.copyfileobj", lambda *_: None)
    with pytest.raises(DeviceError, match="only 0 of 5 bytes arrived"):
        client.put(source, str(target))
    assert not target.exists()


class FlippingTransport(SshTransport):
    """One bit of every file is another when it arrives."""

    def put(self, file: Path, destination: str) -> None:
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        with contextlib.closing(file.with_name("flipped").open("w+b")) as flipped:
            flipped.write(content)
        super().put(file.with_name("flipped"), destination)


@pytest.fixture
def agent(tmp_path):
    """The command of an agent that ends with the test."""
    command = [sys.executable, "-P", "-m", "hytnas_agent", "--state", str(tmp_path / "agent")]
    yield command
    subprocess.run([*command, "stop"], check=True, timeout=60, capture_output=True)


def test_upload_that_arrives_corrupted_is_refused_and_gone(sshd, tmp_path, agent):
    state = tmp_path / "agent"
    transport = FlippingTransport(sshd.settings, agent)
    model = tmp_path / "model.onnx"
    model.write_bytes(b"a model")
    sha256 = hashlib.sha256(b"a model").hexdigest()
    with AgentDevice("tested", transport, client_id="me", shares_processor=True) as device:
        device.acquire("test")
        with pytest.raises(DeviceError, match="arrived damaged"):
            device.push(model, sha256, ".onnx")
        with pytest.raises(DeviceError, match="does not have"):
            device.measure(MeasureJob("j", sha256, "onnx", MeasureSettings()))
        assert [path for path in (state / "spool").rglob("*") if path.is_file()] == []
