"""One process a state folder: who serves it, or deletes it, holds a lock whose file names that process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from hytnas_agent.errors import AgentError
from hytnas_agent.paths import StateFolder


class AlreadyServingError(AgentError):
    """Another server holds the state folder."""


@contextmanager
def single_instance(state: StateFolder) -> Iterator[None]:
    """Hold the state folder.

    Raises
    ------
    AlreadyServingError
        If another process does.
    """
    descriptor = _opened(state)
    try:
        _lock(descriptor, state)
        while not _still_there(descriptor, state):  # deleted with its folder, before it was locked
            os.close(descriptor)
            descriptor = _opened(state)
            _lock(descriptor, state)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _opened(state: StateFolder) -> int:
    return os.open(state.server_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock(descriptor: int, state: StateFolder) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        raise AlreadyServingError(
            f"an agent (pid {pid}) already serves {state.root}",
            "Use it, or end it with: hytnas-agent stop",
        ) from error


def _still_there(descriptor: int, state: StateFolder) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), state.server_lock.stat())
    except FileNotFoundError:
        return False
