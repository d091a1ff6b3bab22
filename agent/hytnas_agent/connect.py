"""``connect``: a byte bridge between standard input and output and the server, started if none runs.

This is what a host runs over an SSH channel, or as a child process for the machine it is on.
"""

import contextlib
import errno
import fcntl
import os
import selectors
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import BinaryIO

from hytnas_agent.deadline import Deadline
from hytnas_agent.errors import AgentError
from hytnas_agent.instance import unusable
from hytnas_agent.paths import StateFolder
from hytnas_agent.regular_file import open_own, open_regular

PROGRAM = (sys.executable, "-P", "-m", "hytnas_agent")
"""The agent's command line, without its arguments."""

START_TIMEOUT_S = 30.0
RETRY_S = 0.05
MAX_LOG_BYTES = 1024 * 1024
_CHUNK_BYTES = 1 << 16


def open_socket(state: StateFolder) -> socket.socket | None:
    """A connection to the running server, or None if none runs."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(os.fspath(state.socket))
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None
    except OSError as error:
        sock.close()
        if error.errno == errno.ELOOP:  # a server puts its socket in the place of a link
            return None
        raise AgentError(f"the agent's socket {state.socket} cannot be opened: {error.strerror}") from error
    return sock


def connect_or_start(state: StateFolder, server_options: Sequence[str] = ()) -> socket.socket:
    """A connection to the server, which is started in a session of its own, with its options, if none runs.

    Of several that start one at once, the one that takes the instance lock stays, and all connect to it.

    Raises
    ------
    AgentError
        If no server answers in time; it quotes the server's log.
    """
    sock = open_socket(state)
    if sock is not None:
        return sock
    server = _start_server(state, server_options)
    deadline = Deadline(START_TIMEOUT_S)
    while not deadline.expired:
        sock = open_socket(state)
        if sock is not None:
            if _peer_pid(sock) != server.pid:
                # It would serve on if the other were stopped before it comes to the lock.
                server.terminate()
            return sock
        # A server that has ended may have lost against another that is still on its way up.
        if server.poll() not in (None, 0) and not someone_serves(state):
            raise AgentError(f"the agent could not be started: {_last_log_line(state)}")
        time.sleep(RETRY_S)
    raise AgentError(f"the agent did not answer within {START_TIMEOUT_S:g} s: {_last_log_line(state)}")


def _start_server(state: StateFolder, options: Sequence[str]) -> subprocess.Popen[bytes]:
    command = [*PROGRAM, "--state", str(state.root), "serve", *options]
    with _server_log(state) as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )


def _server_log(state: StateFolder) -> BinaryIO:
    """What the server writes is added to it; a long one is begun anew."""
    try:
        log = os.fdopen(open_own(state.server_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab")
        if os.fstat(log.fileno()).st_size > MAX_LOG_BYTES:
            log.truncate(0)
    except OSError as error:
        raise unusable(state.server_log, error) from error
    return log


def _peer_pid(sock: socket.socket) -> int:
    """The process that listens at the other end (unix(7), ``SO_PEERCRED``)."""
    pid, _, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


def someone_serves(state: StateFolder) -> bool:
    """Whether a server holds the state folder, on its way up or down included.

    Raises
    ------
    AgentError
        If the lock file cannot be used.
    """
    try:
        with open_regular(state.server_lock) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unusable(state.server_lock, error) from error
    return False


def _last_log_line(state: StateFolder) -> str:
    try:
        with open_regular(state.server_log) as log:
            lines = log.read().decode(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else f"see {state.server_log}"


def bridge(sock: socket.socket, input_fd: int = 0, output_fd: int = 1) -> None:
    """Carry bytes both ways until either end is done; the end of the input ends the conversation."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        selector.register(input_fd, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is sock:
                    data = _receive(sock)
                    if not data or not _write_all(output_fd, data):
                        return
                    continue
                data = os.read(input_fd, _CHUNK_BYTES)
                if not data:
                    # The server answers what it can at once and then closes.
                    selector.unregister(input_fd)
                    with contextlib.suppress(OSError):
                        sock.shutdown(socket.SHUT_WR)
                    continue
                try:
                    sock.sendall(data)
                except OSError:
                    return


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(_CHUNK_BYTES)
    except OSError:
        return b""


def _write_all(descriptor: int, data: bytes) -> bool:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except BrokenPipeError:
        return False
    return True
