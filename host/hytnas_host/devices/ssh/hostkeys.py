"""Host keys: what a device proves its identity with, compared by content and shown as a fingerprint."""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh.errors import HostKeyError

MAX_KNOWN_HOSTS_BYTES = 16 << 20
# An RSA key is one type of key and two signature algorithms (RFC 8332).
_RSA_ALGORITHMS = ("rsa-sha2-512", "rsa-sha2-256")


@dataclass(frozen=True)
class HostKey:
    """A public host key, as in a line of ``known_hosts``.

    Attributes
    ----------
    kind : str
        E.g. ``ssh-ed25519``.
    base64 : str
    """

    kind: str
    base64: str

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read ``ssh-ed25519 AAAA...``; raises DeviceError."""
        kind, _, encoded = line.strip().partition(" ")
        key = cls(kind, encoded.partition(" ")[0])
        try:
            blob = base64.b64decode(key.base64, validate=True)
        except binascii.Error:
            blob = b""
        # The key's own first field repeats its type.
        if not kind or blob[4 : 4 + len(kind)] != kind.encode():
            raise DeviceError(
                f"{line[:60]!r} is not a host key such as 'ssh-ed25519 AAAA...'",
                "Pin it anew with: hytnas-profile device enrol --replace",
            )
        return key

    @classmethod
    def of(cls, key: paramiko.PKey) -> Self:
        """The key that a server presented."""
        return cls(key.get_name(), key.get_base64())

    @property
    def fingerprint(self) -> str:
        """SHA-256 as OpenSSH prints it: ``SHA256:`` and unpadded base64."""
        digest = hashlib.sha256(base64.b64decode(self.base64)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The host key algorithms with which a server can prove that it has this key."""
        return _RSA_ALGORITHMS if self.kind == "ssh-rsa" else (self.kind,)

    def __str__(self) -> str:
        return f"{self.kind} {self.base64}"


def check_pinned(presented: HostKey, pinned: HostKey | None, where: str) -> None:
    """Accept the pinned key and no other.

    Raises
    ------
    HostKeyError
        Naming the fingerprints.
    """
    if pinned is None:
        raise HostKeyError(
            f"the host key of {where} is not known: it presents {presented.fingerprint} ({presented.kind})",
            "Compare that with the board's own and pin it with: hytnas-profile device enrol",
        )
    if presented != pinned:
        raise HostKeyError(
            f"the host key of {where} has changed: pinned is {pinned.fingerprint} ({pinned.kind}), "
            f"presented was {presented.fingerprint} ({presented.kind})",
            "Either the board was installed anew, or somebody is in between. If you know that it was, pin "
            "the new key with: hytnas-profile device enrol --replace",
        )


def known_keys(name: str, port: int, files: Iterable[Path]) -> tuple[HostKey, ...]:
    """The keys that ``known_hosts`` files hold for a host, but for revoked ones.

    Files that are missing hold none; lines that say nothing to us are passed over, as OpenSSH does.

    Raises
    ------
    DeviceError
        A file cannot be read.
    """
    entry = name if port == 22 else f"[{name}]:{port}"
    keys: list[HostKey] = []
    revoked: list[HostKey] = []
    for line in (line for file in files for line in _read_lines(file)):
        if line.startswith("@revoked "):
            revoked += _keys_for(None, line.partition(" ")[2].strip())
        elif not line.startswith("@"):
            keys += _keys_for(entry, line)
    return tuple(key for key in keys if key not in revoked)


def _read_lines(file: Path) -> list[str]:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_KNOWN_HOSTS_BYTES)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DeviceError(f"{file} cannot be read: {error.strerror}", "Repair or remove it") from error
    return [line.strip() for line in content.decode(errors="replace").splitlines()]


def _keys_for(entry: str | None, line: str) -> list[HostKey]:
    """The key of a line of ``known_hosts``, if the line is about this host (or about any)."""
    try:
        found = HostKeyEntry.from_line(line)
    except (InvalidHostKey, paramiko.SSHException, ValueError):
        return []
    if found is None or found.key is None or not found.hostnames:
        return []
    about = paramiko.HostKeys()
    for hostname in found.hostnames:
        about.add(hostname, found.key.get_name(), found.key)
    return [HostKey.of(found.key)] if entry is None or about.lookup(entry) else []


def check_known(presented: HostKey, known: tuple[HostKey, ...], where: str) -> None:
    """Accept a host on the way to the device if ``known_hosts`` has its key.

    Raises
    ------
    HostKeyError
        Naming the fingerprints.
    """
    if presented in known:
        return
    if not known:
        raise HostKeyError(
            f"the host key of the jump host {where} is not in known_hosts: it presents "
            f"{presented.fingerprint} ({presented.kind})",
            "Log in to it once by hand with ssh, and compare the fingerprint there",
        )
    expected = " or ".join(key.fingerprint for key in known)
    raise HostKeyError(
        f"the host key of the jump host {where} has changed: known_hosts has {expected}, presented was "
        f"{presented.fingerprint} ({presented.kind})",
        "Somebody may be in between. If it was installed anew, correct known_hosts with: ssh-keygen -R",
    )
