"""Running a program on the device to its end, with limits on its time and on what it says."""

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import paramiko

from hytnas_agent.deadline import Deadline
from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh.connection import SshConnection
from hytnas_host.devices.ssh.errors import SshLostError
from hytnas_host.devices.ssh.startup import ADVICE, Startup
from hytnas_host.devices.ssh.waiting import answered_within

BROKEN = (paramiko.SSHException, EOFError, OSError)
"""What paramiko raises where a channel or the connection under it has ended."""

_CHUNK_BYTES = 32768


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


def start_program(connection: SshConnection, argv: Sequence[str], startup: Startup) -> paramiko.Channel:
    """Start a program on a channel of its own; its arguments arrive as they are, whatever is in them.

    ``startup`` tells what it says from what the login's start-up files have said before.

    Raises
    ------
    SshLostError, DeviceError
    """
    try:
        channel = connection.transport.open_session()
        with answered_within(connection.transport.channel_timeout, channel):
            channel.exec_command(startup.command(argv))
    except BROKEN as error:
        if isinstance(error, TimeoutError) or "timeout" in str(error).lower():
            raise SshLostError(
                f"{connection.endpoint} opened no session within {connection.transport.channel_timeout:g} s",
                "Check that the board is not overloaded",
            ) from error
        if connection.alive:
            raise DeviceError(
                f"{connection.endpoint} does not let {argv[0]} be run: {error}",
                "Allow more sessions (MaxSessions) and commands in the board's sshd_config",
            ) from error
        raise connection.lost(f"{argv[0]} was not started", error) from error
    return channel


def run_program(
    connection: SshConnection, argv: Sequence[str], *, stdin: bytes, timeout_s: float, limit_bytes: int
) -> Completed:
    """Run a program to its end.

    Raises
    ------
    SshLostError
    DeviceError
        It does not end in time, or says more than ``limit_bytes`` on one of its streams.
    """
    startup = Startup()
    channel = start_program(connection, argv, startup)
    try:
        done = _Run(channel, argv[0], Deadline(timeout_s), limit_bytes, startup).finish(stdin)
        if done.status < 0 and connection.has_ended():
            raise EOFError
        if not startup.is_over:
            said = startup.last_words or done.last_error
            raise DeviceError(
                f"the login at {connection.endpoint} ends before {argv[0]} starts: {said}", ADVICE
            )
        return done
    except BROKEN as error:
        if isinstance(error, DeviceError):
            raise
        raise connection.lost(f"{argv[0]} did not end", error) from error
    finally:
        channel.close()


class _Run:
    """A program on its way to its end: all three streams at once, until the deadline."""

    def __init__(
        self, channel: paramiko.Channel, name: str, deadline: Deadline, limit_bytes: int, startup: Startup
    ) -> None:
        self._channel = channel
        self._startup = startup
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
                output += self._startup.strip(data)
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
        said = self._startup.without(bytes(errors))
        return Completed(self._channel.exit_status, bytes(output), said)

    def _read_output(self) -> bytes:
        while True:
            self._channel.settimeout(self._left_s())
            with contextlib.suppress(TimeoutError):
                return self._channel.recv(_CHUNK_BYTES)

    def _check(self, stream: bytearray, what: str) -> None:
        if len(stream) > self._limit_bytes:
            raise DeviceError(f"the {what} of {self._name} is over the limit of {self._limit_bytes} bytes")

    def _left_s(self) -> float:
        left_s = self._deadline.remaining
        if not left_s:
            raise DeviceError(
                f"{self._name} did not end on the device in time", "See what it waits for there"
            )
        return left_s

    def _listen(self, errors: bytearray) -> None:
        while len(errors) <= self._limit_bytes:
            try:
                data = self._channel.recv_stderr(_CHUNK_BYTES)
            except TimeoutError:
                continue
            except BROKEN:
                return
            if not data:
                return
            errors += data
        self._channel.close()  # wakes whoever waits for output

    def _write(self, stdin: bytes) -> None:
        with contextlib.suppress(*BROKEN):
            for start in range(0, len(stdin), _CHUNK_BYTES):
                self._write_chunk(stdin[start : start + _CHUNK_BYTES])
            self._channel.shutdown_write()

    def _write_chunk(self, chunk: bytes) -> None:
        while chunk:
            with contextlib.suppress(TimeoutError):
                chunk = chunk[self._channel.send(chunk) :]
