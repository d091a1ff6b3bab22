"""The boards that this user has enrolled: a TOML file that a person may edit too.

Comments, and whatever else the file holds, survive a change from here.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec
import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from hytnas_agent.account import base_folder
from hytnas_agent.own_folder import make_private
from hytnas_agent.records import DeviceContext
from hytnas_agent.regular_file import open_regular
from hytnas_agent.whole_file import write_whole
from hytnas_host.devices.errors import DeviceError, UnknownDeviceError
from hytnas_host.devices.ssh.hostkeys import HostKey
from hytnas_host.devices.ssh.settings import Address, SshSettings

INVENTORY_VARIABLE = "HYTNAS_DEVICES"
MAX_INVENTORY_BYTES = 1 << 20
DEVICE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_DEVICES = "devices"


class DeviceEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An enrolled board.

    Attributes
    ----------
    name : str
    host, port, user, key_files, proxy_jump
        See `SshSettings`.
    host_key : str
        The one host key that is accepted, ``ssh-ed25519 AAAA...``.
    agent : tuple of str
        The agent's program on the board, with leading arguments; empty until it is provisioned.
    state : str, optional
        The agent's state folder on the board; its default if not given.
    runtime : str, optional
        The runtime to measure with; the agent's first usable one by default.
    device_id : str, optional
        What its agent calls the board: a hash of its serial number or machine id.
    enrolment_id, enrolled_at, provisioned_at, agent_version
        Times in UTC, ISO 8601.
    board, system, architecture, python
        What was found on enrolment.
    context : DeviceContext, optional
        What latencies depended on when the board was last asked.
    """

    name: str
    host: str
    host_key: str
    port: int | None = None
    user: str | None = None
    key_files: tuple[str, ...] = ()
    proxy_jump: str | None = None
    agent: tuple[str, ...] = ()
    state: str | None = None
    runtime: str | None = None
    device_id: str | None = None
    enrolment_id: str | None = None
    enrolled_at: str | None = None
    provisioned_at: str | None = None
    agent_version: str | None = None
    board: str | None = None
    system: str | None = None
    architecture: str | None = None
    python: str | None = None
    context: DeviceContext | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        if Address.parse(str(self.address)) != self.address:
            raise DeviceError(f"device {self.name!r}: {self.host!r} is no host name or address")
        HostKey.parse(self.host_key)

    @property
    def address(self) -> Address:
        """Where it is."""
        return Address(self.host, self.port, self.user)

    @property
    def agent_command(self) -> tuple[str, ...]:
        """The agent's program with its state folder, ready for a subcommand.

        Raises DeviceError where the board is not provisioned.
        """
        if not self.agent:
            raise DeviceError(
                f"device {self.name!r} is enrolled, but has no agent yet",
                f"Install it with: hytnas-profile device provision {self.name}",
            )
        return (*self.agent, *(() if self.state is None else ("--state", self.state)))

    def ssh_settings(self) -> SshSettings:
        """How to log in to it."""
        return SshSettings(
            self.host,
            self.port,
            self.user,
            HostKey.parse(self.host_key),
            key_files=self.key_files,
            proxy_jump=self.proxy_jump,
        )


class Inventory:
    """The enrolled boards by name.

    Parameters
    ----------
    path : Path, optional
        The TOML file; ``inventory_path()`` by default. One that does not exist holds no boards.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or inventory_path()

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """An inventory whose file has been read and found in order; raises DeviceError."""
        inventory = cls(path)
        inventory.entries()
        return inventory

    def entries(self) -> dict[str, DeviceEntry]:
        """All boards by name; raises DeviceError if the file cannot be read or is malformed."""
        tables = self._read().unwrap().get(_DEVICES, {})
        if not isinstance(tables, dict):
            raise self._malformed(f"{_DEVICES} is no table")
        return {name: self._entry(name, table) for name, table in sorted(tables.items())}

    def get(self, name: str) -> DeviceEntry:
        """The board of this name; raises UnknownDeviceError."""
        entries = self.entries()
        if name not in entries:
            known = ", ".join(entries) or "none"
            raise UnknownDeviceError(
                f"no device {name!r} is enrolled", f"known: {known}; enrol it: hytnas-profile device enrol"
            )
        return entries[name]

    def put(self, entry: DeviceEntry) -> None:
        """Add the board, or change it."""
        with self._changing() as document:
            tables = document.setdefault(_DEVICES, tomlkit.table(is_super_table=True))
            table = tables.setdefault(entry.name, tomlkit.table())
            _update(table, {**msgspec.to_builtins(entry), "name": None})

    def remove(self, name: str) -> None:
        """Forget the board; raises UnknownDeviceError."""
        self.get(name)
        with self._changing() as document:
            del document[_DEVICES][name]

    def _entry(self, name: str, table: object) -> DeviceEntry:
        if not isinstance(table, dict):
            raise self._malformed(f"{_DEVICES}.{name} is no table")
        try:
            return msgspec.convert({**table, "name": name}, DeviceEntry)
        except (msgspec.ValidationError, DeviceError) as error:
            raise self._malformed(f"device {name!r}: {error}") from error

    def _malformed(self, what: str) -> DeviceError:
        return DeviceError(f"{self.path} is malformed: {what}", "Correct it, or remove that device from it")

    def _read(self) -> tomlkit.TOMLDocument:
        try:
            with open_regular(self.path) as file:
                content = file.read(MAX_INVENTORY_BYTES + 1)
        except FileNotFoundError:
            return tomlkit.document()
        except OSError as error:
            raise DeviceError(f"{self.path} cannot be read: {error.strerror}") from error
        if len(content) > MAX_INVENTORY_BYTES:
            raise self._malformed(f"it has more than {MAX_INVENTORY_BYTES >> 20} MiB")
        try:
            return tomlkit.parse(content)
        except (TOMLKitError, UnicodeDecodeError) as error:
            raise self._malformed(str(error)) from error

    @contextlib.contextmanager
    def _changing(self) -> Iterator[tomlkit.TOMLDocument]:
        """Read, let change, and replace the file as a whole; of several processes one at a time."""
        try:
            make_private(self.path.parent)
            with self.path.with_name(f".{self.path.name}.lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                document = self._read()
                yield document
                write_whole(self.path, tomlkit.dumps(document).encode(), private=True)
        except OSError as error:
            raise DeviceError(
                f"{self.path} cannot be written: {error.strerror}",
                f"Set {INVENTORY_VARIABLE} to another file",
            ) from error


def inventory_path() -> Path:
    """``$HYTNAS_DEVICES``, else ``$XDG_CONFIG_HOME/hytnas/devices.toml``."""
    if chosen := os.environ.get(INVENTORY_VARIABLE):
        return Path(os.path.expanduser(chosen))  # as it is where it names an unknown user
    return base_folder("XDG_CONFIG_HOME", ".config") / "hytnas" / "devices.toml"


def check_name(name: str) -> None:
    """Raise DeviceError unless this may be the name of a device."""
    if not DEVICE_NAME.fullmatch(name):
        raise DeviceError(
            f"{name!r} is no name for a device",
            "Take up to 63 lower-case letters, digits, dots, dashes and underscores",
        )


def _update(table: Table, values: dict[str, object]) -> None:
    """Bring a table up to date: what is not said, or is None, goes if it is one of a device's fields."""
    for key in DeviceEntry.__struct_fields__:
        value = values.get(key)
        if value is None:
            table.pop(key, None)
        elif table.get(key) != value:
            table[key] = value
