"""Host keys: what a device proves its identity with, compared by content and shown as a fingerprint."""

import base64
import contextlib
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh.errors import HostKeyError

if TYPE_CHECKING:
    import paramiko

MAX_KNOWN_HOSTS_BYTES = 16 << 20
# An RSA key is one type of key and two signature algorithms (RFC 8332).
_RSA_ALGORITHMS = ("rsa-sha2-512", "rsa-sha2-256")
_USABLE_KINDS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)
_WILDCARDS = {"*": ".*", "?": "."}


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
        kind, encoded, *_ = (*line.split(maxsplit=2), "", "")
        try:
            blob = base64.b64decode(encoded, validate=True)
        except ValueError:
            blob = b""
        # The key's own first field repeats its type.
        if not kind or blob[4 : 4 + len(kind)] != kind.encode():
            raise DeviceError(
                f"{line[:60]!r} is not a host key such as 'ssh-ed25519 AAAA...'",
                "Pin it anew with: hytnas-profile device enrol --replace",
            )
        return cls(kind, base64.b64encode(blob).decode())  # of several spellings of the last digit one

    @classmethod
    def of(cls, key: "paramiko.PKey") -> Self:
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
    host = (name if port == 22 else f"[{name}]:{port}").lower()
    keys: list[HostKey] = []
    revoked: list[HostKey] = []
    for line in (line for file in files for line in _read_lines(file)):
        marker, rest = line.split(maxsplit=1) if line.startswith("@") and " " in line else ("", line)
        names, _, key_line = rest.partition(" ")
        with contextlib.suppress(DeviceError):
            if marker == "@revoked":
                revoked.append(HostKey.parse(key_line))
            elif not marker and _is_about(host, names):
                keys.append(HostKey.parse(key_line))
    return tuple(key for key in keys if key.kind in _USABLE_KINDS and key not in revoked)


def _read_lines(file: Path) -> list[str]:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_KNOWN_HOSTS_BYTES)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DeviceError(f"{file} cannot be read: {error.strerror}", "Repair or remove it") from error
    lines = content.decode(errors="replace").splitlines()
    return [" ".join(line.split()) for line in lines if not line.lstrip().startswith("#")]


def _is_about(host: str, names: str) -> bool:
    """Whether the names of a line are this host's: a hash, or patterns of which none excludes it; sshd(8)."""
    if names.startswith("|"):
        return _is_hash_of(host, names)
    patterns = names.lower().split(",")
    if any(_matches(host, pattern[1:]) for pattern in patterns if pattern.startswith("!")):
        return False
    return any(_matches(host, pattern) for pattern in patterns if not pattern.startswith("!"))


def _matches(host: str, pattern: str) -> bool:
    parts = (_WILDCARDS.get(character) or re.escape(character) for character in pattern)
    return re.fullmatch("".join(parts), host) is not None


def _is_hash_of(host: str, hashed: str) -> bool:
    """Whether ``|1|salt|digest`` was made of this name."""
    version, salt, digest, *more = (*hashed.split("|")[1:], "", "", "")
    if version != "1" or any(more):
        return False
    try:
        made = hmac.digest(base64.b64decode(salt, validate=True), host.encode(), "sha1")
        return hmac.compare_digest(made, base64.b64decode(digest, validate=True))
    except ValueError:  # damaged
        return False


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
