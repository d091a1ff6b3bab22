"""What can be done on a device over its one SSH connection: run programs, transfer files."""

import contextlib
import errno
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO, Self

import paramiko

from hytnas_agent.regular_file import open_regular
from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh.channel import ChannelConnection
from hytnas_host.devices.ssh.connection import SshConnection, open_connection
from hytnas_host.devices.ssh.errors import SshLostError
from hytnas_host.devices.ssh.program import BROKEN, Completed, run_program, start_program
from hytnas_host.devices.ssh.settings import SshSettings
from hytnas_host.devices.ssh.startup import ADVICE, Startup
from hytnas_host.devices.ssh.waiting import answered_within

RUN_TIMEOUT_S = 60.0
OUTPUT_LIMIT_BYTES = 4 << 20
_CHUNK_BYTES = 32768
_SFTP_SERVER = """
for place in /usr/lib/openssh /usr/libexec/openssh /usr/lib/ssh /usr/libexec; do
    test -x $place/sftp-server && exec $place/sftp-server
done
"""
"""Starts OpenSSH's server of files where Debian, Fedora, Arch and others keep it."""


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
        self._connecting = threading.Lock()  # held over the network, and so never by `close`
        self._guard = threading.Lock()
        self._connection: SshConnection | None = None
        self._closes = 0
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
        """The connection, made now if there is none that works.

        Raises SshLostError where it is closed meanwhile.
        """
        closes = self._closes
        with self._connecting:
            before = self._connection
            if before is not None and before.alive:
                return before
            if before is not None:
                before.close()
            made = open_connection(self.settings) if closes == self._closes else None
            with self._guard:
                if made is not None and closes == self._closes:
                    self._connection = made
                    return made
        if made is not None:
            made.close()
        raise SshLostError(f"the connection to {self.settings.address} was closed here")

    def close(self) -> None:
        """End the connection and all that runs over it, without waiting; the next use makes a new one."""
        with self._guard:
            self._closes += 1
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def open_exec(self, argv: Sequence[str]) -> ChannelConnection:
        """Start a program and speak to it over its standard streams."""
        connection = self.connect()
        startup = Startup()
        return ChannelConnection(start_program(connection, argv, startup), connection, startup)

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
        return run_program(connection, argv, stdin=stdin, timeout_s=timeout_s, limit_bytes=limit_bytes)

    def put(self, file: Path, destination: str, *, mode: int = 0o600) -> None:
        """Copy a file to a path on the device; a part of it is never left behind.

        What could not be removed because the connection broke is removed on the next connection.
        """
        try:
            source = open_regular(file)
        except OSError as error:
            raise DeviceError(
                f"{file.name} cannot be read: {error.strerror}", f"Check that {file} is still there"
            ) from error
        with source, self._transferring(file.name, destination) as sftp:
            self._leftovers.add(destination)
            try:
                _upload(sftp, source, destination, mode)
            except _NotOpenedError as error:
                self._leftovers.discard(destination)
                raise error.why from error
            except BaseException:
                # Interrupted within a message, the session is of no more use; the connection may well be.
                connection = self._sftp_over
                self._end_session()
                if connection is not None and connection.alive:
                    with contextlib.suppress(Exception):  # in favour of what went wrong before
                        self._session(connection)  # removes the part
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
                raise connection.lost(f"the transfer of {name} stands still", error) from error
            except (paramiko.SFTPError, UnicodeError) as error:
                self._end_session()
                raise DeviceError(
                    f"{name} cannot be transferred: what {connection.endpoint} answers is no SFTP ({error})",
                    f"Check the Subsystem line of its sshd_config. {ADVICE}",
                ) from error
            except BROKEN as error:
                if not connection.alive or isinstance(error, paramiko.SSHException | EOFError):
                    self._end_session()
                    raise connection.lost(f"{name} was not transferred", error) from error
                raise DeviceError(
                    f"{name} cannot be transferred: {error.strerror or error} ({path} on the device)",
                    "Check that the folder is there, may be written, and that the device's disk has space",
                ) from error

    def _session(self, connection: SshConnection) -> paramiko.SFTPClient:
        if self._sftp is None or self._sftp_over is not connection:
            self._end_session()
            self._sftp, self._sftp_over = self._new_session(connection), connection
            self._remove_leftovers(self._sftp)
        return self._sftp

    def _new_session(self, connection: SshConnection) -> paramiko.SFTPClient:
        try:
            channel = connection.transport.open_session(timeout=self.settings.connect_timeout_s)
        except paramiko.ChannelException as error:
            raise DeviceError(
                f"{connection.endpoint} opens no session for files: {error}",
                "Allow more sessions (MaxSessions) in the board's sshd_config",
            ) from error
        channel.settimeout(self.settings.io_timeout_s)
        try:
            with answered_within(self.settings.io_timeout_s, channel):
                channel.invoke_subsystem("sftp")
        except paramiko.SSHException as error:
            channel.close()
            if not connection.alive:
                raise
            raise DeviceError(
                f"{connection.endpoint} offers no SFTP",
                "Install openssh-sftp-server there, and keep the Subsystem line of sshd_config",
            ) from error
        try:
            return paramiko.SFTPClient(channel)
        except paramiko.SFTPError:
            channel.close()
            # sshd starts the server by the user's shell, whose start-up files may print: skip that.
            return self._session_after_startup(connection)

    def _session_after_startup(self, connection: SshConnection) -> paramiko.SFTPClient:
        startup = Startup()
        channel = start_program(connection, ["sh", "-c", _SFTP_SERVER], startup)
        channel.settimeout(self.settings.io_timeout_s)
        while not startup.is_over:
            byte = channel.recv(1)  # no more: what follows is SFTP's
            if not byte:
                raise paramiko.SFTPError(startup.last_words or "it ends at once")
            startup.strip(byte)
        return paramiko.SFTPClient(channel)

    def _end_session(self) -> None:
        if self._sftp is not None:
            with contextlib.suppress(*BROKEN):
                self._sftp.close()
        self._sftp = self._sftp_over = None

    def _remove_leftovers(self, sftp: paramiko.SFTPClient) -> None:
        for path in list(self._leftovers):
            try:
                sftp.remove(path)
            except FileNotFoundError:
                pass
            except BROKEN:
                continue
            self._leftovers.discard(path)


class _NotOpenedError(Exception):
    """The destination could not be opened, so that there is nothing to remove."""

    def __init__(self, why: OSError) -> None:
        super().__init__(str(why))
        self.why = why


def _upload(sftp: paramiko.SFTPClient, source: BinaryIO, destination: str, mode: int) -> None:
    size_bytes = os.fstat(source.fileno()).st_size
    try:
        file = sftp.open(destination, "wb")
    except OSError as error:
        channel = sftp.get_channel()
        if isinstance(error, TimeoutError) or channel is None or channel.closed:
            raise
        raise _NotOpenedError(error) from error  # the server's answer
    file.set_pipelined(True)
    shutil.copyfileobj(source, file, _CHUNK_BYTES)
    file.close()
    sftp.chmod(destination, mode)
    arrived_bytes = sftp.stat(destination).st_size
    if arrived_bytes != size_bytes:
        # Written ahead, so that what the device refused is not heard: all but always its disk is full.
        raise OSError(errno.ENOSPC, f"only {arrived_bytes} of {size_bytes} bytes arrived")
