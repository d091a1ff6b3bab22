"""How a device is reached over SSH."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh.hostkeys import HostKey

USER_CONFIG = Path("~/.ssh/config")
_ADDRESS = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^\s]+)@)?(?:\[(?P<ip6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\s@:\[\]/]+))"
    r"(?::(?P<port>\d{1,5}))?/?"
)


@dataclass(frozen=True)
class Address:
    """``[user@]host[:port]``; what is missing comes from the SSH configuration or its defaults."""

    host: str
    port: int | None = None
    user: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``pi@raspberrypi.local``, ``host:2222``, ``[fe80::1]:22`` or ``ssh://pi@host``.

        A user's name may hold an @. Raises DeviceError.
        """
        found = _ADDRESS.fullmatch(text)
        # A leading dash would be an option to any program that the name is handed to.
        if found is None or text.startswith("-") or not 0 < int(found["port"] or 22) < 65536:
            raise DeviceError(f"{text!r} is not an address of the form user@host:port", "E.g. pi@raspberrypi")
        port = None if found["port"] is None else int(found["port"])
        return cls(found["ip6"] or found["host"], port, found["user"])

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"{user}{host}" + (f":{self.port}" if self.port else "")


@dataclass(frozen=True)
class SshSettings:
    """Where a device is and how to log in.

    Attributes
    ----------
    host : str
        A name, an address, or a ``Host`` alias of the SSH configuration.
    port, user
        Where not given: what the SSH configuration says, else 22 and the local user's name.
    host_key : HostKey, optional
        The one key that is accepted; without it nothing is.
    key_files : tuple of str
        Private keys to offer first; where none is given, those of the SSH configuration or ``~/.ssh/id_*``.
    proxy_jump : str, optional
        Hosts to pass through, as in ``ssh -J``; ``none`` for none whatever the configuration says.
    config_file : Path
        The SSH configuration; nothing is read where it does not exist.
    agent_socket : str, optional
        The socket of the SSH agent; by default ``IdentityAgent`` of the configuration, else SSH_AUTH_SOCK.
    connect_timeout_s : float
        For each of: connecting, the handshake, the login.
    keepalive_s, keepalive_limit_s : float, optional
        How often the device is asked for a sign of life, and how long that may take: a link whose packets
        vanish is given up after their sum at most. Where not given: what the SSH configuration says, else 15
        seconds each.
    io_timeout_s : float
        How long a file transfer may stand still, and the board take to open a session.
    """

    host: str
    port: int | None = None
    user: str | None = None
    host_key: HostKey | None = None
    key_files: tuple[str, ...] = ()
    proxy_jump: str | None = None
    config_file: Path = USER_CONFIG
    agent_socket: str | None = None
    connect_timeout_s: float = 20.0
    keepalive_s: float | None = None
    keepalive_limit_s: float | None = None
    io_timeout_s: float = 60.0

    @property
    def address(self) -> Address:
        """The address as it was given."""
        return Address(self.host, self.port, self.user)
