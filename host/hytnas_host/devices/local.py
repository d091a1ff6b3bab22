"""The device ``local``: this very machine through an agent of its own."""

from pathlib import Path

from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.state import client_id
from hytnas_host.devices.transport import LocalTransport


def open_local(state: Path | None = None) -> AgentDevice:
    """This machine as a device; its agent starts with the first question.

    Parameters
    ----------
    state : Path, optional
        The agent's state folder; its default if not given.
    """
    return AgentDevice(
        "local",
        LocalTransport(state),
        client_id=client_id(),
        shares_processor=True,
        upgrade="end the old agent with: hytnas-agent stop, then run the same command again",
    )
