"""Starting a program where the board is in the way; what runs well is tested against OpenSSH."""

import threading
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest

from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh.errors import SshLostError
from hytnas_host.devices.ssh.program import start_program
from hytnas_host.devices.ssh.startup import Startup


def connection_that(error: Exception) -> Any:
    """A connection that is alive, and on which no session can be opened."""

    def open_session() -> None:
        raise error

    transport = SimpleNamespace(open_session=open_session, channel_timeout=60.0)
    return SimpleNamespace(transport=transport, alive=True, endpoint="pi@shelf")


def test_a_board_that_is_slow_to_open_a_session_may_be_tried_again() -> None:
    connection = connection_that(paramiko.SSHException("Timeout opening channel."))
    with pytest.raises(SshLostError, match="pi@shelf opened no session within 60 s"):
        start_program(connection, ["true"], Startup())


class SilentChannel:
    """Never answers a request; whoever waits is woken by its end."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def exec_command(self, command: str) -> None:
        if self._closed.wait(60):
            raise paramiko.SSHException("Channel closed.")

    def close(self) -> None:
        self._closed.set()


def test_a_board_that_never_answers_is_given_up() -> None:
    transport = SimpleNamespace(open_session=SilentChannel, channel_timeout=0.01)
    connection: Any = SimpleNamespace(transport=transport, alive=True, endpoint="pi@shelf")
    with pytest.raises(SshLostError, match=r"pi@shelf opened no session within 0\.01 s"):
        start_program(connection, ["true"], Startup())


def test_a_board_that_allows_no_session_is_not() -> None:
    connection = connection_that(paramiko.ChannelException(1, "Administratively prohibited"))
    with pytest.raises(DeviceError, match="does not let true be run") as caught:
        start_program(connection, ["true"], Startup())
    assert not isinstance(caught.value, SshLostError)
