"""The exclusive lease on the device: one file, one ``flock``, a fencing token that only grows.

The kernel lets the lock go when its process ends, however it ends. The file's text says who holds it.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import Annotated

import msgspec

from hytnas_agent.errors import AgentError
from hytnas_agent.paths import LEASE_VARIABLE
from hytnas_agent.protocol import BusyHolder, ErrorCode, RpcError
from hytnas_agent.regular_file import open_own


class _Record(msgspec.Struct, frozen=True):
    token: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)] = 0
    holder: BusyHolder | None = None


_BEGIN = b'{"token":'


class DeviceLease:
    """The lease file. One instance may hold it once; another process or instance then finds it busy."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self.token: int | None = None

    @property
    def held(self) -> bool:
        """Whether this instance holds the device."""
        return self._descriptor is not None

    def acquire(self, holder: str, reason: str, pid: int) -> int:
        """Take the device and return the fencing token of this tenure.

        Raises
        ------
        RpcError
            BUSY, naming the holder.
        AgentError
            If the lease file cannot be used.
        """
        assert not self.held
        try:
            descriptor = _opened(self._path)
        except OSError as error:
            raise AgentError(f"the lease file {self._path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            found = _read(descriptor).holder
            os.close(descriptor)
            raise busy_error(found) from error
        if not _is_lease(descriptor):
            os.close(descriptor)
            raise AgentError(
                f"{self._path} is no lease file: it holds something else",
                f"Name a file that does not exist yet with {LEASE_VARIABLE}",
            )
        self._descriptor = descriptor
        try:
            return self.renew(holder, reason, pid)
        except AgentError:
            self.release()
            raise

    def renew(self, holder: str, reason: str, pid: int) -> int:
        """Hand the held device to another tenure: a new token, which makes the former one stale."""
        assert self._descriptor is not None
        token = _read(self._descriptor).token + 1
        try:
            _write(self._descriptor, _Record(token, BusyHolder(holder, pid, time.time(), reason)))
        except OSError as error:
            raise AgentError(
                f"the lease file {self._path} cannot be written: {error.strerror}",
                "Free some space on the device",
            ) from error
        self.token = token
        return token

    def holder(self) -> BusyHolder | None:
        """Who holds the device by this instance."""
        return None if self._descriptor is None else _read(self._descriptor).holder

    def release(self) -> None:
        """Give the device back; without holding it, nothing."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor, self.token = self._descriptor, None, None
        # The lock is what counts: where the name of the last holder cannot be removed, it stays.
        with contextlib.suppress(OSError):
            _write(descriptor, _Record(_read(descriptor).token))
        os.close(descriptor)


def busy_error(holder: BusyHolder | None) -> RpcError:
    """The error for someone who finds the device held."""
    if holder is None:
        return RpcError(ErrorCode.BUSY, "the device is in use", "Try again when it is free")
    since = clock_time(holder.since_unix_s, "%H:%M:%S")
    return RpcError(
        ErrorCode.BUSY,
        f"the device is in use by {holder.holder} (pid {holder.pid}) since {since}: {holder.reason}",
        "Wait for it to finish, or end that process",
        busy=holder,
    )


def clock_time(unix_s: float, form: str = "%H:%M") -> str:
    """When something was, as people here read it; any number may be in a file or an answer."""
    try:
        return time.strftime(form, time.localtime(unix_s))
    except (OverflowError, ValueError, OSError):
        return "a time that makes no sense"


def _opened(path: Path) -> int:
    """The lease file, made for every user where it is missing: whoever may enter its folder may share it.

    Linux refuses O_CREAT for a file of another user in a folder such as /tmp (fs.protected_regular).
    """
    with contextlib.suppress(FileNotFoundError):
        return open_own(path, os.O_RDWR)
    try:
        descriptor = open_own(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    except FileExistsError:  # another process was faster
        return open_own(path, os.O_RDWR)
    os.fchmod(descriptor, 0o666)
    return descriptor


def _is_lease(descriptor: int) -> bool:
    """Whether the file may be overwritten: it begins as a lease, or is empty, also after a loss of power."""
    begin = os.pread(descriptor, len(_BEGIN), 0)
    return begin == _BEGIN or not begin.strip(b"\0")


def _read(descriptor: int) -> _Record:
    try:
        return msgspec.json.decode(os.pread(descriptor, 1 << 16, 0), type=_Record)
    except (ValueError, RecursionError):
        return _Record()


def _write(descriptor: int, record: _Record) -> None:
    data = msgspec.json.encode(record)
    os.pwrite(descriptor, data, 0)
    os.ftruncate(descriptor, len(data))
    os.fsync(descriptor)
