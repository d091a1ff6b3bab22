"""From what a person calls a device to the hosts to connect to, by way of the SSH configuration."""

import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from hytnas_agent.account import user_name
from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh.config import Options, SshConfig, home_path, seconds_of, text_of
from hytnas_host.devices.ssh.settings import Address, SshSettings

MAX_HOPS = 5
KEEPALIVE_S = 15.0
SERVER_ALIVE_COUNT_MAX = 3  # as ssh, where the configuration says an interval and no number
DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
KNOWN_HOSTS = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")


@dataclass(frozen=True)
class Endpoint:
    """One host on the way, everything resolved.

    Attributes
    ----------
    host, port, user
    known_as : str
        Its name in ``known_hosts``.
    known_hosts : tuple of Path
    key_files : tuple of Path
        To offer, in order.
    keys_were_chosen : bool
        Somebody named the key files, so that one that is missing is worth a word.
    only_these_keys : bool
        The agent may only offer those of ``key_files``.
    agent_socket : str or None
    keepalive_s, keepalive_limit_s : float
        How often it is asked for a sign of life, and how long that may take.
    """

    host: str
    port: int
    user: str
    known_as: str
    known_hosts: tuple[Path, ...]
    key_files: tuple[Path, ...]
    keys_were_chosen: bool
    only_these_keys: bool
    agent_socket: str | None
    keepalive_s: float
    keepalive_limit_s: float

    def __str__(self) -> str:
        return f"{self.user}@{self.host} port {self.port}"


def plan_route(settings: SshSettings) -> tuple[Endpoint, ...]:
    """The hosts to pass through, the device last.

    Raises
    ------
    DeviceError
        The SSH configuration cannot be read, or asks for what is not supported.
    """
    return _plan(settings.address, settings, SshConfig(settings.config_file))


def _plan(address: Address, settings: SshSettings, config: SshConfig, depth: int = 0) -> tuple[Endpoint, ...]:
    if depth == MAX_HOPS:
        raise DeviceError(
            f"the way to {settings.host} has more than {MAX_HOPS} jump hosts", "Look for a loop of ProxyJump"
        )
    found = config.lookup(address.host)
    is_device = depth == 0
    # The hosts before a jump host come from the configuration alone.
    jump = (settings.proxy_jump if is_device else None) or _configured_jump(found, address.host)
    before: tuple[Endpoint, ...] = ()
    if jump != "none":
        # Each of the list is reached through the one before it; the first may have a way of its own.
        first, *others = (Address.parse(part.strip()) for part in jump.split(","))
        before = _plan(first, settings, config, depth + 1)
        before += tuple(_endpoint(hop, settings, config.lookup(hop.host), ()) for hop in others)
    own_keys = settings.key_files if is_device else ()
    return (*before, _endpoint(address, settings, found, own_keys))


def _configured_jump(found: Options, host: str) -> str:
    """The jump hosts that the configuration says; of ProxyJump and ProxyCommand that which it says first."""
    first = next((key for key in found if key in ("proxyjump", "proxycommand")), "")
    if first == "proxycommand" and text_of(found, first) is not None:  # None stands for "none"
        raise DeviceError(
            f"the SSH configuration reaches {host} by ProxyCommand, which is not supported",
            "Use ProxyJump, or give the device's own address",
        )
    return text_of(found, first) or "none"


def _endpoint(
    address: Address, settings: SshSettings, found: Options, key_files: tuple[str, ...]
) -> Endpoint:
    host = text_of(found, "hostname") or address.host
    configured = found.get("identityfile", [])
    assert isinstance(configured, list)
    chosen = [*key_files, *configured]
    agent = settings.agent_socket or text_of(found, "identityagent") or os.environ.get("SSH_AUTH_SOCK")
    if agent == "SSH_AUTH_SOCK":
        agent = os.environ.get("SSH_AUTH_SOCK")
    keepalive_s, limit_s = _keepalive(found, address.host)
    hosts_files = (text_of(found, "userknownhostsfile") or "").split() or KNOWN_HOSTS
    return Endpoint(
        host=host,
        port=address.port or _port(text_of(found, "port"), address.host),
        user=address.user or text_of(found, "user") or user_name(),
        known_as=text_of(found, "hostkeyalias") or host,
        known_hosts=tuple(home_path(file) for file in hosts_files),
        key_files=tuple(home_path(file) for file in chosen or DEFAULT_KEYS),
        keys_were_chosen=bool(chosen),
        only_these_keys=(text_of(found, "identitiesonly") or "no") == "yes",
        agent_socket=None if agent == "none" else agent,
        keepalive_s=keepalive_s if settings.keepalive_s is None else settings.keepalive_s,
        keepalive_limit_s=limit_s if settings.keepalive_limit_s is None else settings.keepalive_limit_s,
    )


def _port(text: str | None, host: str) -> int:
    if text is None:
        return 22
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise DeviceError(f"the SSH configuration gives {host} the port {text!r}", "Correct it")
    return int(text)


def _keepalive(found: Options, host: str) -> tuple[float, float]:
    """How often to ask for a sign of life, and how long it may take, both in seconds.

    An interval of 0, with which ssh never asks, leaves the default: a link that is dead has to be noticed.
    """
    interval = text_of(found, "serveraliveinterval") or "none"
    count = text_of(found, "serveralivecountmax") or str(SERVER_ALIVE_COUNT_MAX)
    every_s = 0 if interval.lower() == "none" else seconds_of(interval)
    if every_s is None:
        raise DeviceError(
            f"the SSH configuration gives {host} the ServerAliveInterval {interval!r}",
            "Write seconds, or e.g. 2m",
        )
    if not re.fullmatch("[0-9]{1,9}", count):
        raise DeviceError(
            f"the SSH configuration gives {host} the ServerAliveCountMax {count!r}", "Correct it"
        )
    if every_s == 0:
        return KEEPALIVE_S, KEEPALIVE_S
    return float(every_s), min(float(every_s * max(int(count), 1)), threading.TIMEOUT_MAX)
