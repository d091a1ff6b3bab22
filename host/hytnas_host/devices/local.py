"""Devices by name, and ``local``: this very machine through an agent of its own."""

from collections.abc import Callable
from pathlib import Path

from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.errors import UnknownDeviceError
from hytnas_host.devices.state import client_id
from hytnas_host.devices.transport import LocalTransport


def open_local(state: Path | None = None) -> AgentDevice:
    """This machine as a device; its agent starts with the first question.

    Parameters
    ----------
    state : Path, optional
        The agent's state folder; its default if not given.
    """
    return AgentDevice("local", LocalTransport(state), client_id=client_id(), shares_processor=True)


DEVICES: dict[str, Callable[[Path | None], AgentDevice]] = {"local": open_local}


def open_device(name: str, *, state: Path | None = None) -> AgentDevice:
    """The device of this name; nothing is connected before the first question.

    Parameters
    ----------
    name : str
        One of ``DEVICES``.
    state : Path, optional
        The agent's state folder, where the device is this machine.

    Raises
    ------
    UnknownDeviceError
        No device goes by this name; the known ones are listed.
    """
    if name not in DEVICES:
        raise UnknownDeviceError(f"unknown device {name!r}", f"known devices: {', '.join(sorted(DEVICES))}")
    return DEVICES[name](state)
