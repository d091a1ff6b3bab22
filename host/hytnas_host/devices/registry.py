"""Devices by name: the built-in ones, and the boards of the inventory."""

from collections.abc import Callable
from pathlib import Path

from hytnas_agent.device.identity import device_id_of, own_serial
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.errors import UnknownDeviceError
from hytnas_host.devices.icount import DEVICE_NAME, open_icount
from hytnas_host.devices.inventory import DeviceEntry, Inventory
from hytnas_host.devices.local import open_local
from hytnas_host.devices.state import client_id

DEVICES: dict[str, Callable[[Path | None], AgentDevice]] = {"local": open_local, DEVICE_NAME: open_icount}


def open_device(name: str, *, state: Path | None = None) -> AgentDevice:
    """The device of this name; nothing is connected before the first question.

    Parameters
    ----------
    name : str
        One of ``DEVICES``, or an enrolled board.
    state : Path, optional
        The agent's state folder, where the device is this machine.

    Raises
    ------
    UnknownDeviceError
        No device goes by this name; the known ones are listed.
    DeviceError
        The board has no agent yet, or the inventory is malformed.
    """
    if name in DEVICES:
        return DEVICES[name](state)
    boards = Inventory().entries()
    if name not in boards:
        known = ", ".join((*sorted(DEVICES), *boards))
        raise UnknownDeviceError(
            f"unknown device {name!r}", f"known devices: {known}; enrol a board: hytnas-profile device enrol"
        )
    return open_board(boards[name])


def open_board(entry: DeviceEntry) -> AgentDevice:
    """An enrolled board as a device; raises DeviceError if it has no agent yet."""
    from hytnas_host.devices.ssh import SshTransport  # noqa: PLC0415 (paramiko is slow to import)

    serial = own_serial()
    return AgentDevice(
        entry.name,
        SshTransport(entry.ssh_settings(), entry.agent_command),
        client_id=client_id(),
        # Enrolled through a loopback port or its own address, this very machine measures.
        shares_processor=serial is not None and device_id_of(serial) == entry.device_id,
    )
