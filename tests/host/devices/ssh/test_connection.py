"""Connecting to what is no board, or one that answers nonsense."""

import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest

from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh import SshLostError, SshSettings, scan_host_key
from hytnas_host.devices.ssh.connection import SshConnection


def packet(payload: bytes) -> bytes:
    """As on the wire before there are keys: RFC 4253, section 6."""
    padding = 16 - (len(payload) + 5) % 8
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def text(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


DISCONNECT = packet(b"\x01" + struct.pack(">I", 2) + text(b"\xfft\xfcr zu") + text(b""))
KEXINIT = packet(b"\x14" + bytes(16) + text(b"\xff\xfe") * 10 + bytes(5))


@pytest.fixture
def serve() -> Any:
    """Starts a server that greets as one of SSH, says one thing more and listens; gives its settings."""
    listening: list[socket.socket] = []

    def start(said: bytes, config: Path) -> SshSettings:
        listener = socket.create_server(("127.0.0.1", 0))
        listening.append(listener)

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-board\r\n" + said)
                while connection.recv(65536):
                    pass

        threading.Thread(target=answer, daemon=True).start()
        return SshSettings("127.0.0.1", listener.getsockname()[1], "pi", config_file=config)

    yield start
    for listener in listening:
        listener.close()


@pytest.mark.parametrize("said", [DISCONNECT, KEXINIT], ids=["disconnect", "kexinit"])
def test_text_that_is_none_is_a_handshake_broken_off(serve: Callable[..., SshSettings], tmp_path, said):
    with pytest.raises(SshLostError, match=r"broke off the SSH handshake: a malformed message"):
        scan_host_key(serve(said, tmp_path / "absent"))


@pytest.mark.parametrize("host", ["foo..bar", f"{'a' * 64}.local"])
def test_host_that_cannot_be_one_is_one_clear_error(tmp_path, host):
    with pytest.raises(DeviceError, match="is no host name"):
        scan_host_key(SshSettings(host, config_file=tmp_path / "absent"))


def test_what_breaks_while_the_connection_stands_is_not_its_end():
    transport: Any = SimpleNamespace(is_active=lambda: True, join=lambda timeout: None)
    endpoint: Any = "pi@shelf"
    told = str(SshConnection(endpoint, transport, []).lost("a.onnx was not transferred", EOFError("gone")))
    assert "a.onnx was not transferred: pi@shelf is still connected, but gone" in told
    transport.is_active = lambda: False
    told = str(
        SshConnection(endpoint, transport, []).lost("a.onnx was not transferred", paramiko.SSHException())
    )
    assert "lost pi@shelf: the connection ended" in told
