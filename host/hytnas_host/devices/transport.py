"""How bytes reach an agent: the interface, and this machine's own agent as a child process.

A transport starts ``hytnas-agent connect`` where the device is, which bridges its stdin and stdout to the
agent's socket, and puts files into the spool's incoming folder. Everything above it is the same for a board.
"""

import collections
import contextlib
import os
import select
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

from hytnas_agent.deadline import Deadline
from hytnas_host.devices.errors import DeviceError

READ_BYTES = 65536
CLOSE_GRACE_S = 2.0


class Connection(Protocol):
    """One running ``hytnas-agent connect``: a byte stream both ways."""

    def send(self, data: bytes, timeout_s: float) -> None:
        """Write all of ``data``; raises OSError (TimeoutError included) if it cannot be written in time."""
        ...

    def receive(self) -> bytes:
        """The next bytes, waiting for them; ``b""`` at the end of the stream and after ``close``."""
        ...

    def close(self) -> None:
        """End the stream, from any thread; closing twice is closing once."""
        ...

    def diagnosis(self) -> str:
        """The last thing the far end said on its error stream; empty if nothing."""
        ...


class Transport(Protocol):
    """Where an agent is and how to get there."""

    def connect(self) -> Connection:
        """Start ``hytnas-agent connect``.

        Raises
        ------
        OSError
            It cannot be reached now; worth another try.
        DeviceError
            It can never be reached this way.
        """
        ...

    def put(self, file: Path, destination: str) -> None:
        """Copy a file to an absolute path on the device; raises DeviceError (also an OSError: try again)."""
        ...

    def close(self) -> None:
        """End what its connections share; one that is asked for later starts that anew."""
        ...


class PipeConnection:
    """A child process spoken to over its standard streams.

    It runs in a session of its own, so that Ctrl-C in the terminal reaches the host alone and the host can
    still talk to the agent while it winds up.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            env=os.environ | dict(environment or {}),
        )
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert stdin is not None
        assert stdout is not None
        assert stderr is not None
        self._stdin, self._stdout, self._stderr = stdin, stdout, stderr
        os.set_blocking(stdin.fileno(), False)
        self._said: collections.deque[str] = collections.deque(maxlen=20)
        self._listener = threading.Thread(target=self._listen, args=(stderr,), daemon=True)
        self._listener.start()
        self._closing = threading.Lock()
        self._reading = threading.Lock()

    def _listen(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in stream:
                if text := line.decode(errors="replace").strip():
                    self._said.append(text)

    def send(self, data: bytes, timeout_s: float) -> None:
        """Write all of ``data``; raises OSError (TimeoutError included) if it cannot be written in time."""
        deadline = Deadline(timeout_s)
        view = memoryview(data)
        try:
            while view:
                if deadline.expired or not select.select([], [self._stdin], [], deadline.remaining)[1]:
                    raise TimeoutError("the agent's connection takes no more data")
                view = view[os.write(self._stdin.fileno(), view[: select.PIPE_BUF]) :]
        except ValueError as error:
            raise BrokenPipeError("the connection is closed") from error

    def receive(self) -> bytes:
        """The next bytes, waiting for them; ``b""`` at the end of the stream and after ``close``."""
        with self._reading:
            try:
                return os.read(self._stdout.fileno(), READ_BYTES)
            except (OSError, ValueError):
                return b""

    def close(self) -> None:
        """End the stream: the bridge leaves when its input ends, or is killed; the agent itself stays."""
        with self._closing:
            with contextlib.suppress(OSError):
                self._stdin.close()
            try:
                self._process.wait(CLOSE_GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            if self._reading.acquire(timeout=CLOSE_GRACE_S):
                self._stdout.close()
                self._reading.release()
            self._listener.join(CLOSE_GRACE_S)
            if not self._listener.is_alive():
                self._stderr.close()

    def diagnosis(self) -> str:
        """The last line on the child's error stream, or its exit status."""
        self._listener.join(0.2)
        if self._said:
            return self._said[-1]
        status = self._process.poll()
        return "" if status is None else f"hytnas-agent connect ended with status {status}"


class LocalTransport:
    """This machine's own agent as a child process.

    Parameters
    ----------
    state : Path, optional
        The agent's state folder; its default if not given.
    idle_exit_s : float
        The agent ends after so long without client and job.
    environment : mapping, optional
        Variables that the agent is started with besides this process's own.
    """

    def __init__(
        self,
        state: Path | None = None,
        *,
        idle_exit_s: float = 300.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder = [] if state is None else ["--state", str(state.absolute())]
        agent = [sys.executable, "-P", "-m", "hytnas_agent", *folder]
        self._command = [*agent, "connect", "--idle-exit-s", f"{idle_exit_s:g}"]
        self._environment = {} if environment is None else dict(environment)

    def connect(self) -> PipeConnection:
        """Start ``hytnas-agent connect`` as a child."""
        try:
            return PipeConnection(self._command, self._environment)
        except OSError as error:
            raise DeviceError(
                f"the local agent cannot be started: {error.strerror}",
                "check the installation with: hytnas-agent doctor",
            ) from error

    def put(self, file: Path, destination: str) -> None:
        """Copy a file into the agent's incoming folder."""
        try:
            shutil.copyfile(file, destination)
        except OSError as error:
            with contextlib.suppress(OSError):
                Path(destination).unlink(missing_ok=True)
            raise DeviceError(
                f"{file.name} cannot be copied to the device: {error.strerror}",
                "check that the file is still there and that the device's disk has space",
            ) from error

    def close(self) -> None:
        """Nothing is shared."""
