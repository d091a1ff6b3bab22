"""What can be done on a device over its one SSH connection: run programs, transfer files."""

import contextlib
import errno
import os
import shlex
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO, Self

import paramiko

from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh.channel import ChannelConnection
from hytnas_host.devices.ssh.connection import SshConnection, open_connection
from hytnas_host.devices.ssh.settings import SshSettings

RUN_TIMEOUT_S = 60.0
OUTPUT_LIMIT_BYTES = 4 << 20
_CHUNK_BYTES = 32768
_BROKEN = (paramiko.SSHException, EOFError, OSError)


@dataclass(frozen=True)
class Completed:
    """How a program on the device ended; ``status`` is -1 where a signal ended it."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """The output without surrounding blanks."""
        return self.stdout.decode(errors="replace").strip()

    @property
    def last_error(self) -> str:
        """The last line on the error stream, else the exit status in words."""
        lines = self.stderr.decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else f"exit status {self.status}"


class SshClient:
    """One SSH connection to a device, made on first use and made anew where it was lost.

    Usable from several threads. Every method raises SshLostError where the device cannot be reached or the
    connection breaks meanwhile, and DeviceError (HostKeyError, LoginError) where trying again would not help.

    Parameters
    ----------
    settings : SshSettings
    """

    def __init__(self, settings: SshSettings) -> None:
        self.settings = settings
        self._guard = threading.RLock()
        self._connection: SshConnection | None = None
        self._files = threading.RLock()
        self._sftp: paramiko.SFTPClient | None = None
        self._sftp_over: SshConnection | None = None
        self._leftovers: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connect(self) -> SshConnection:
        """The connection, made now if there is none that works."""
        with self._guard:
            if self._connection is None or not self._connection.alive:
                self.close()
                self._connection = open_connection(self.settings)
            return self._connection

    def close(self) -> None:
        """End the connection and all that runs over it; the next use makes a new one."""
        with self._guard:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def open_exec(self, argv: Sequence[str]) -> ChannelConnection:
        """Start a program and speak to it over its standard streams."""
        connection = self.connect()
        return ChannelConnection(_start(connection, argv), connection)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float = RUN_TIMEOUT_S,
        limit_bytes: int = OUTPUT_LIMIT_BYTES,
    ) -> Completed:
        """Run a program to its end; its arguments arrive as they are, whatever is in them.

        Raises
        ------
        DeviceError
            It does not end in time, or says more than ``limit_bytes`` on one of its streams.
        """
        connection = self.connect()
        channel = _start(connection, argv)
        try:
            return _Run(channel, argv[0], time.monotonic() + timeout_s, limit_bytes).finish(stdin)
        except _BROKEN as error:
            if isinstance(error, DeviceError):
                raise
            raise connection.lost(f"{argv[0]} did not end") from error
        finally:
            channel.close()

    def put(self, file: Path, destination: str, *, mode: int = 0o600) -> None:
        """Copy a file to a path on the device; a part of it is never left behind.

        What could not be removed because the connection broke is removed on the next connection.
        """
        try:
            source = file.open("rb")
        except OSError as error:
            raise DeviceError(
                f"{file.name} cannot be read: {error.strerror}", f"Check that {file} is still there"
            ) from error
        with source, self._transferring(file.name, destination) as sftp:
            self._leftovers.add(destination)
            try:
                _upload(sftp, source, destination, mode)
            except BaseException:
                # Interrupted within a message, the session is of no more use; the connection may well be.
                self._end_session()
                with contextlib.suppress(*_BROKEN):
                    self._session(self.connect())
                raise
            self._leftovers.discard(destination)

    def read_file(self, path: str, limit_bytes: int) -> bytes:
        """What a file on the device holds; raises DeviceError if that is more than ``limit_bytes``."""
        with self._transferring(PurePosixPath(path).name, path) as sftp, sftp.open(path, "rb") as file:
            content = file.read(limit_bytes + 1)
        if len(content) > limit_bytes:
            raise DeviceError(f"{path} on the device has more than {limit_bytes} bytes")
        return content

    def make_folder(self, path: str, *, mode: int = 0o700) -> None:
        """Make a folder and its parents on the device, where they are missing."""
        with self._transferring(PurePosixPath(path).name, path) as sftp:
            for folder in (*reversed(PurePosixPath(path).parents), PurePosixPath(path)):
                with contextlib.suppress(FileNotFoundError):
                    sftp.stat(str(folder))
                    continue
                sftp.mkdir(str(folder), mode)

    @contextlib.contextmanager
    def _transferring(self, name: str, path: str) -> Iterator[paramiko.SFTPClient]:
        """The SFTP session, one transfer at a time; its errors become those of devices."""
        with self._files:
            connection = self.connect()
            try:
                yield self._session(connection)
            except DeviceError:
                raise
            except TimeoutError as error:
                self._end_session()
                raise connection.lost(f"the transfer of {name} stands still") from error
            except _BROKEN as error:
                if not connection.alive or isinstance(error, paramiko.SSHException | EOFError):
                    self._end_session()
                    raise connection.lost(f"{name} was not transferred") from error
                raise DeviceError(
                    f"{name} cannot be transferred: {error.strerror or error} ({path} on the device)",
                    "Check that the folder is there, may be written, and that the device's disk has space",
                ) from error

    def _session(self, connection: SshConnection) -> paramiko.SFTPClient:
        if self._sftp is None or self._sftp_over is not connection:
            self._end_session()
            channel = connection.transport.open_session(timeout=self.settings.connect_timeout_s)
            channel.settimeout(self.settings.io_timeout_s)
            try:
                channel.invoke_subsystem("sftp")
            except paramiko.SSHException as error:
                channel.close()
                if not connection.alive:
                    raise
                raise DeviceError(
                    f"{connection.endpoint} offers no SFTP",
                    "Install openssh-sftp-server there, and keep the Subsystem line of sshd_config",
                ) from error
            self._sftp, self._sftp_over = paramiko.SFTPClient(channel), connection
            self._remove_leftovers(self._sftp)
        return self._sftp

    def _end_session(self) -> None:
        if self._sftp is not None:
            with contextlib.suppress(*_BROKEN):
                self._sftp.close()
        self._sftp = self._sftp_over = None

    def _remove_leftovers(self, sftp: paramiko.SFTPClient) -> None:
        for path in list(self._leftovers):
            try:
                sftp.remove(path)
            except FileNotFoundError:
                pass
            except _BROKEN:
                continue
            self._leftovers.discard(path)


def _upload(sftp: paramiko.SFTPClient, source: BinaryIO, destination: str, mode: int) -> None:
    size_bytes = os.fstat(source.fileno()).st_size
    file = sftp.open(destination, "wb")
    file.set_pipelined(True)
    shutil.copyfileobj(source, file, _CHUNK_BYTES)
    file.close()
    sftp.chmod(destination, mode)
    arrived_bytes = sftp.stat(destination).st_size
    if arrived_bytes != size_bytes:
        raise OSError(errno.EIO, f"{arrived_bytes} of {size_bytes} bytes arrived")


def _start(connection: SshConnection, argv: Sequence[str]) -> paramiko.Channel:
    try:
        channel = connection.transport.open_session()
        # sshd hands the text to the user's shell: quoted, each argument arrives as it is.
        channel.exec_command(shlex.join(argv))
    except _BROKEN as error:
        if connection.alive:
            raise DeviceError(
                f"{connection.endpoint} does not let {argv[0]} be run: {error}",
                "Allow more sessions (MaxSessions) and commands in the board's sshd_config",
            ) from error
        raise connection.lost(f"{argv[0]} was not started") from error
    return channel


class _Run:
    """A program on its way to its end: all three streams at once, until the deadline."""

    def __init__(self, channel: paramiko.Channel, name: str, deadline: float, limit_bytes: int) -> None:
        self._channel = channel
        self._name = name
        self._deadline = deadline
        self._limit_bytes = limit_bytes

    def finish(self, stdin: bytes) -> Completed:
        errors = bytearray()
        listener = threading.Thread(target=self._listen, args=(errors,), daemon=True)
        listener.start()
        writer = threading.Thread(target=self._write, args=(stdin,), daemon=True)
        writer.start()
        output = bytearray()
        try:
            while data := self._read_output():
                output += data
                self._check(output, "output")
            while listener.is_alive():
                listener.join(self._left_s())
            self._check(errors, "error output")
            while not self._channel.status_event.wait(self._left_s()):
                pass
        finally:
            self._channel.close()
            for thread in (listener, writer):
                thread.join()
        return Completed(self._channel.exit_status, bytes(output), bytes(errors))

    def _read_output(self) -> bytes:
        while True:
            self._channel.settimeout(self._left_s())
            with contextlib.suppress(TimeoutError):
                return self._channel.recv(_CHUNK_BYTES)

    def _check(self, stream: bytearray, what: str) -> None:
        if len(stream) > self._limit_bytes:
            raise DeviceError(f"the {what} of {self._name} is over the limit of {self._limit_bytes} bytes")

    def _left_s(self) -> float:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise DeviceError(
                f"{self._name} did not end on the device in time", "see what it waits for there"
            )
        return left_s

    def _listen(self, errors: bytearray) -> None:
        while len(errors) <= self._limit_bytes:
            try:
                data = self._channel.recv_stderr(_CHUNK_BYTES)
            except TimeoutError:
                continue
            except _BROKEN:
                return
            if not data:
                return
            errors += data

    def _write(self, stdin: bytes) -> None:
        with contextlib.suppress(*_BROKEN):
            for start in range(0, len(stdin), _CHUNK_BYTES):
                self._write_chunk(stdin[start : start + _CHUNK_BYTES])
            self._channel.shutdown_write()

    def _write_chunk(self, chunk: bytes) -> None:
        while chunk:
            with contextlib.suppress(TimeoutError):
                chunk = chunk[self._channel.send(chunk) :]
