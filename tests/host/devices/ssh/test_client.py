"""A client whose board is in the way; what goes well is tested against OpenSSH."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest

from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh import HostKeyError, SshClient, SshLostError, SshSettings
from hytnas_host.devices.ssh import client as module
from hytnas_host.devices.ssh.connection import SshConnection


class SilentChannel:
    """Never answers a request; whoever waits is woken by its end."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def settimeout(self, timeout_s: float) -> None:
        pass

    def invoke_subsystem(self, name: str) -> None:
        if self._closed.wait(60):
            raise paramiko.SSHException("Channel closed.")

    def close(self) -> None:
        self._closed.set()


class StandingTransport:
    """A connection that stands; a session on it is what ``open_session`` gives."""

    def __init__(self, open_session: Any) -> None:
        self.active = True
        self.open_session = open_session

    def is_active(self) -> bool:
        return self.active

    def join(self, timeout_s: float) -> None:
        pass

    def close(self) -> None:
        self.active = False


@pytest.fixture
def client_over(monkeypatch):
    """A client with an open connection over a transport."""

    def make(transport: Any, **settings: Any) -> SshClient:
        endpoint: Any = "pi@shelf"
        connection = SshConnection(endpoint, transport, [])
        monkeypatch.setattr(module, "open_connection", lambda settings: connection)
        client = SshClient(SshSettings("shelf", **settings))
        client.connect()
        return client

    return make


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"model")
    return path


def test_board_that_never_starts_sftp_is_given_up(client_over, file):
    client = client_over(StandingTransport(lambda timeout: SilentChannel()), io_timeout_s=0.01)
    with pytest.raises(SshLostError, match=r"a\.onnx stands still.*still connected, but no answer within"):
        client.put(file, "/incoming/a")


def test_board_that_allows_no_more_sessions_is_told_what_to_change(client_over, file):
    def refuse(timeout: float) -> None:
        raise paramiko.ChannelException(1, "Administratively prohibited")

    with pytest.raises(DeviceError, match=r"opens no session for files.*MaxSessions") as caught:
        client_over(StandingTransport(refuse)).put(file, "/incoming/a")
    assert not isinstance(caught.value, SshLostError)


def sftp_failing(monkeypatch, failure: BaseException, transport: StandingTransport) -> None:
    def fail(*_: object) -> None:
        transport.active = isinstance(failure, Exception)
        raise failure

    channel = SimpleNamespace(
        settimeout=lambda s: None, invoke_subsystem=lambda name: None, close=lambda: None
    )
    transport.open_session = lambda timeout: channel
    monkeypatch.setattr(paramiko, "SFTPClient", lambda channel: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(module, "_upload", fail)


@pytest.mark.parametrize(
    "failure", [paramiko.SFTPError("Garbage packet received"), UnicodeError("not UTF-8")]
)
def test_answers_that_are_no_sftp_are_one_clear_error(client_over, file, monkeypatch, failure):
    transport = StandingTransport(None)
    sftp_failing(monkeypatch, failure, transport)
    with pytest.raises(DeviceError, match=r"a\.onnx cannot be transferred: what pi@shelf answers is no SFTP"):
        client_over(transport).put(file, "/incoming/a")


def test_interruption_goes_on_up_and_connects_to_nothing_any_more(client_over, file, monkeypatch):
    transport = StandingTransport(None)
    sftp_failing(monkeypatch, KeyboardInterrupt(), transport)
    client = client_over(transport)

    def refuse(settings: SshSettings) -> None:
        raise HostKeyError("the host key has changed")

    monkeypatch.setattr(module, "open_connection", refuse)
    with pytest.raises(KeyboardInterrupt):
        client.put(file, "/incoming/a")


def test_closing_does_not_wait_for_a_connection_that_another_thread_makes(monkeypatch):
    connecting, go_on = threading.Event(), threading.Event()
    transport = StandingTransport(None)

    def dial(settings: SshSettings) -> SshConnection:
        connecting.set()
        go_on.wait(120)
        endpoint: Any = "pi@shelf"
        return SshConnection(endpoint, transport, [])  # type: ignore[arg-type]

    monkeypatch.setattr(module, "open_connection", dial)
    client = SshClient(SshSettings("shelf"))
    failures: list[Exception] = []

    def connect() -> None:
        try:
            client.connect()
        except SshLostError as error:
            failures.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    assert connecting.wait(60)
    closing = threading.Thread(target=client.close)
    closing.start()
    closing.join(60)
    was_closed = not closing.is_alive()
    go_on.set()
    thread.join(60)
    assert was_closed
    assert "closed here" in str(failures[0])
    assert not transport.active
