"""One process a state folder: who serves it, or deletes it, holds a lock whose file names that process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hytnas_agent.errors import AgentError
from hytnas_agent.paths import StateFolder
from hytnas_agent.regular_file import open_own


class AlreadyServingError(AgentError):
    """Another server holds the state folder."""


@contextmanager
def single_instance(state: StateFolder) -> Iterator[None]:
    """Hold the state folder.

    Raises
    ------
    AlreadyServingError
        If another process does.
    AgentError
        If the lock file cannot be used.
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
    try:
        return open_own(state.server_lock)
    except OSError as error:
        raise unusable(state.server_lock, error) from error


def unusable(path: Path, error: OSError) -> AgentError:
    """The error for a file of the state folder that something else has taken the place of."""
    return AgentError(f"{path} cannot be used: {error.strerror}", "Move it away, and run the same again")


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
