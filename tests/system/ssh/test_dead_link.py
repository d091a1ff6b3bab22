"""A server that keeps its connections and says nothing: noticed wherever one waits for it, and got over."""

import dataclasses
import threading
import time

import pytest

from hytnas_host.devices.ssh import SshClient, SshLostError, scan_host_key

pytestmark = pytest.mark.system

NOTICED_S = 60  # a hang of the test, not a claim


@pytest.fixture
def client(sshd):
    settings = dataclasses.replace(
        sshd.settings, keepalive_s=0.2, keepalive_limit_s=1.0, connect_timeout_s=1.0, io_timeout_s=1.0
    )
    with SshClient(settings) as client:
        yield client


def failure_of(action) -> list[BaseException]:
    """What ``action`` raises in a thread of its own, which has to end."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(NOTICED_S)
    assert not thread.is_alive()
    return errors


def test_quiet_but_live_link_is_kept(client, monkeypatch):
    connection = client.open_exec(["cat"])
    before = client.connect()
    signs = []
    ask = before.transport.global_request
    monkeypatch.setattr(
        before.transport, "global_request", lambda *words, **more: signs.append(ask(*words, **more))
    )
    deadline = time.monotonic() + NOTICED_S
    while len(signs) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert client.connect() is before
    connection.send(b"x", 10)
    assert connection.receive() == b"x"
    connection.close()


def test_reader_is_woken_and_told_why(client, sshd):
    connection = client.open_exec(["cat"])
    sshd.freeze()
    heard: list[bytes] = []
    assert failure_of(lambda: heard.append(connection.receive())) == []
    assert heard == [b""]
    assert "no sign of life" in connection.diagnosis()
    with pytest.raises(OSError, match="closed"):
        connection.send(b"x", 10)
    connection.close()


def test_running_program_is_given_up_as_lost(client, sshd):
    client.connect()
    threading.Timer(0.5, sshd.freeze).start()
    (error,) = failure_of(lambda: client.run(["sleep", "20"], timeout_s=600))
    assert isinstance(error, SshLostError)
    assert "no sign of life" in str(error)


def test_transfer_is_given_up_as_lost_and_its_part_removed(client, sshd, tmp_path):
    source, target = tmp_path / "large", tmp_path / "target"
    with source.open("wb") as file:
        file.truncate(400 << 20)

    def freeze() -> None:
        while not (target.exists() and target.stat().st_size):
            time.sleep(0.01)
        sshd.freeze()

    threading.Thread(target=freeze).start()
    (error,) = failure_of(lambda: client.put(source, str(target)))
    assert isinstance(error, SshLostError)
    sshd.thaw()
    client.read_file("/proc/version", 1 << 16)
    assert not target.exists()


def test_new_connection_is_given_up_and_succeeds_once_it_answers(client, sshd):
    sshd.freeze()
    (error,) = failure_of(client.connect)
    assert isinstance(error, SshLostError)
    (error,) = failure_of(lambda: scan_host_key(client.settings))
    assert isinstance(error, SshLostError)
    sshd.thaw()
    assert client.run(["echo", "there"]).text == "there"
