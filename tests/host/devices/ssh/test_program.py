"""Starting a program where the board is in the way; what runs well is tested against OpenSSH."""

from types import SimpleNamespace
from typing import Any

import paramiko
import pytest

from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh.errors import SshLostError
from hytnas_host.devices.ssh.program import start_program


def connection_that(error: Exception) -> Any:
    """A connection that is alive, and on which no session can be opened."""

    def open_session() -> None:
        raise error

    transport = SimpleNamespace(open_session=open_session, channel_timeout=60.0)
    return SimpleNamespace(transport=transport, alive=True, endpoint="pi@shelf")


def test_a_board_that_is_slow_to_open_a_session_may_be_tried_again() -> None:
    connection = connection_that(paramiko.SSHException("Timeout opening channel."))
    with pytest.raises(SshLostError, match="pi@shelf opened no session within 60 s"):
        start_program(connection, ["true"])


def test_a_board_that_allows_no_session_is_not() -> None:
    connection = connection_that(paramiko.ChannelException(1, "Administratively prohibited"))
    with pytest.raises(DeviceError, match="does not let true be run") as caught:
        start_program(connection, ["true"])
    assert not isinstance(caught.value, SshLostError)
