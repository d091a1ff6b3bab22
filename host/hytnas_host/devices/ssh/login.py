"""Logging in with keys: files and the SSH agent. Nothing is ever asked for on the terminal."""

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.agent import AgentSSH
from paramiko.pkey import PublicBlob, UnknownKeyType

from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh.errors import LoginError, SshLostError
from hytnas_host.devices.ssh.route import Endpoint

AGENT_TIMEOUT_S = 15.0
MAX_KEY_BYTES = 64 * 1024
MANY_KEYS = 3
_REFUSED = "refused"


@dataclass(frozen=True)
class _Offer:
    name: str
    key: paramiko.PKey


def log_in(transport: paramiko.Transport, endpoint: Endpoint) -> None:
    """Authenticate with the first key that the host takes.

    Raises
    ------
    LoginError
        It takes none; what was tried and why it failed is in the message.
    SshLostError
        The connection ended meanwhile, or the host is still starting.
    """
    remarks: list[str] = []
    with contextlib.ExitStack() as stack:
        for offer in _offers(endpoint, remarks, stack):
            if _try(transport, endpoint, offer, remarks):
                return
    tried = "; ".join(remarks) or "there is no key to offer"
    advice = f"Put your public key there: ssh-copy-id -p {endpoint.port} {endpoint.user}@{endpoint.host}"
    if not remarks:
        advice = "Make a key with ssh-keygen and put it there with ssh-copy-id, or name yours with --key"
    elif "passphrase" in tried:
        advice = "Load the key that has a passphrase into the SSH agent with: ssh-add"
    raise LoginError(f"{endpoint} refuses the login ({tried})", advice)


def _try(transport: paramiko.Transport, endpoint: Endpoint, offer: _Offer, remarks: list[str]) -> bool:
    try:
        missing = transport.auth_publickey(endpoint.user, offer.key)
    except paramiko.BadAuthenticationType as error:
        raise LoginError(
            f"{endpoint} accepts no keys, only {', '.join(error.allowed_types)}",
            "Allow PubkeyAuthentication in the board's /etc/ssh/sshd_config",
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        banner = transport.get_banner() or b""
        if b"nologin" in banner or b"booting" in banner:
            raise SshLostError(f"{endpoint} is still starting", "Try again in a minute") from error
        if not transport.is_active():
            raise _broken_off(endpoint, remarks) from error
        if "timeout" in str(error).lower():
            raise SshLostError(f"{endpoint} does not answer the login") from error
        remarks.append(f"{offer.name}: {_REFUSED}")
        return False
    if missing:
        remarks.append(f"{offer.name}: accepted, but {' and '.join(missing)} is asked for too")
    return not missing


def _broken_off(endpoint: Endpoint, remarks: list[str]) -> DeviceError:
    """The error where the server hung up; most limit how many keys may be tried."""
    refused = sum(remark.endswith(_REFUSED) for remark in remarks)
    if refused < MANY_KEYS:
        return SshLostError(f"{endpoint} ended the connection during the login")
    return LoginError(
        f"{endpoint} ended the login after refusing {refused} keys",
        "Name the right one: --key, or IdentityFile with IdentitiesOnly in ~/.ssh/config",
    )


def _offers(endpoint: Endpoint, remarks: list[str], stack: contextlib.ExitStack) -> Iterator[_Offer]:
    """Keys in the order to offer them: those of an agent last, unless a file needs a passphrase."""
    for file in endpoint.key_files:
        key = _load(file, endpoint, remarks)
        if key is not None:
            yield _Offer(str(file), key)
    if endpoint.agent_socket is None:
        return
    wanted = _public_parts(endpoint.key_files) if endpoint.only_these_keys else None
    for number, agent_key in enumerate(_agent_keys(endpoint.agent_socket, remarks, stack), 1):
        if wanted is None or agent_key.asbytes() in wanted:
            yield _Offer(f"agent's key {number} ({agent_key.get_name()})", agent_key)


def _load(file: Path, endpoint: Endpoint, remarks: list[str]) -> paramiko.PKey | None:
    if file.suffix == ".pub":  # names a key of the agent
        return None
    try:
        if file.stat().st_size > MAX_KEY_BYTES:
            remarks.append(f"{file}: too large for a key")
            return None
        return paramiko.PKey.from_path(file)
    except FileNotFoundError:
        if endpoint.keys_were_chosen:
            remarks.append(f"{file}: not there")
    except OSError as error:
        remarks.append(f"{file}: {error.strerror}")
    except (TypeError, paramiko.PasswordRequiredException):  # cryptography's way to say that it is encrypted
        remarks.append(f"{file}: needs its passphrase")
    except (ValueError, paramiko.SSHException, UnknownKeyType, UnsupportedAlgorithm):
        remarks.append(f"{file}: no private key of a known kind")
    return None


def _public_parts(files: tuple[Path, ...]) -> set[bytes]:
    parts = set()
    for file in files:
        public = file if file.suffix == ".pub" else file.with_name(f"{file.name}.pub")
        with contextlib.suppress(OSError, ValueError, paramiko.SSHException):
            if public.stat().st_size <= MAX_KEY_BYTES:
                parts.add(PublicBlob.from_file(str(public)).key_blob)
    return parts


class _Agent(AgentSSH):
    """An SSH agent at a given socket; paramiko's own `Agent` knows that of the environment alone."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(AGENT_TIMEOUT_S)
        try:
            self._socket.connect(path)
            self._connect(self._socket)  # type: ignore[attr-defined]  # for subclasses
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        self._close()  # type: ignore[attr-defined]


def _agent_keys(path: str, remarks: list[str], stack: contextlib.ExitStack) -> tuple[paramiko.AgentKey, ...]:
    expanded = os.path.expanduser(path)
    try:
        agent = stack.enter_context(contextlib.closing(_Agent(expanded)))
    except (OSError, paramiko.SSHException) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        remarks.append(f"no SSH agent at {expanded}: {why}")
        return ()
    keys = agent.get_keys()
    if not keys:
        remarks.append("the SSH agent has no keys")
    return keys
