"""What outlives a command on this user's host: the state folder, and who the host is to agents."""

import uuid
from pathlib import Path

from hytnas_agent.account import base_folder
from hytnas_agent.whole_file import written_once
from hytnas_host.devices.errors import DeviceError


def host_state_folder() -> Path:
    """Where this user's host keeps what outlives a command: ``$XDG_STATE_HOME/hytnas``."""
    return base_folder("XDG_STATE_HOME", ".local/state") / "hytnas"


def client_id() -> str:
    """Who this user on this host is to agents: random, made once, kept in the state folder.

    Raises DeviceError if it can be neither read nor written.
    """
    path = host_state_folder() / "client-id"
    try:
        return written_once(path, uuid.uuid4().hex, private=True)
    except OSError as error:
        raise DeviceError(
            f"{path} cannot be read or written: {error.strerror}",
            "set XDG_STATE_HOME to a folder that can be written",
        ) from error
