"""A program on the device, spoken to over an SSH channel: what `Connection` promises."""

import collections
import contextlib
import threading

import paramiko

from hytnas_agent.deadline import Deadline
from hytnas_host.devices.errors import DeviceError
from hytnas_host.devices.ssh.connection import SshConnection
from hytnas_host.devices.ssh.startup import Startup

READ_BYTES = 65536
POLL_S = 1.0
CLOSE_GRACE_S = 2.0


class ChannelConnection:
    """A running program's standard streams as a byte stream both ways.

    Parameters
    ----------
    channel : paramiko.Channel
        With the program started.
    connection : SshConnection
        Which it runs over; it stays when the channel ends.
    startup : Startup
        Tells where the program's output begins.
    """

    def __init__(self, channel: paramiko.Channel, connection: SshConnection, startup: Startup) -> None:
        self._channel = channel
        self._connection = connection
        self._startup = startup
        self._said: collections.deque[str] = collections.deque(maxlen=20)
        # One timeout holds for both directions of a channel: short, and waited for again.
        channel.settimeout(POLL_S)
        # Read always: unread errors would use up the window that the output needs too.
        self._listener = threading.Thread(target=self._listen, name="ssh-errors", daemon=True)
        self._listener.start()

    def send(self, data: bytes, timeout_s: float) -> None:
        """Write all of ``data``; raises OSError (TimeoutError included) if it cannot be written in time."""
        deadline = Deadline(timeout_s)
        done = 0
        while done < len(data):
            try:
                sent = self._channel.send(data[done : done + READ_BYTES])
            except TimeoutError:
                if deadline.expired:
                    raise TimeoutError("the agent's connection takes no more data") from None
                continue
            except (paramiko.SSHException, EOFError) as error:
                raise BrokenPipeError("the connection is closed") from error
            if sent == 0:
                raise BrokenPipeError("the connection is closed")
            done += sent

    def receive(self) -> bytes:
        """The next bytes, waiting for them; ``b""`` at the end of the stream and after ``close``."""
        while True:
            try:
                data = self._channel.recv(READ_BYTES)
                if not data or (data := self._startup.strip(data)):
                    return data
            except TimeoutError:
                continue
            except (OSError, EOFError, paramiko.SSHException, DeviceError):
                return b""

    def close(self) -> None:
        """End the stream, from any thread; the program's input ends with it."""
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()
        self._listener.join(CLOSE_GRACE_S)

    def diagnosis(self) -> str:
        """Why the connection broke, else the program's last words, else its exit status."""
        if self._connection.has_ended():
            return self._connection.epitaph()
        if not self._startup.is_over and self._startup.last_words:
            return f"the login ends before the agent starts: {self._startup.last_words}"
        if self._said:
            return self._said[-1]
        if self._channel.status_event.is_set() and self._channel.exit_status >= 0:
            return f"the agent's program ended with status {self._channel.exit_status}"
        return ""

    def _listen(self) -> None:
        rest = b""
        while True:
            try:
                data = self._channel.recv_stderr(READ_BYTES)
            except TimeoutError:
                continue
            except (OSError, EOFError, paramiko.SSHException):
                return
            if not data:
                return
            *lines, rest = (rest + data)[-READ_BYTES:].split(b"\n")
            for line in lines:
                if line + b"\n" == self._startup.marker:
                    self._said.clear()
                elif text := line.decode(errors="replace").strip():
                    self._said.append(text)
