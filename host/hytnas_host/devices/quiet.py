"""Heavy host work and timed runs take turns on one machine, across processes and fairly.

Any number of processes may do ``host_work`` (exports, training steps, fits) at once; ``quiet_machine`` waits
until all of that has stopped and keeps it out while a timed run goes on. Both pass a turnstile first: who
waits for the machine holds the turnstile, so that later arrivals of the other kind queue behind, and neither
a steady stream of host work nor one of timed runs starves the other (readers and writers with a service
queue: Courtois, Heymans and Parnas, "Concurrent control with readers and writers", CACM 14(10), 1971).

The locks are ``flock`` on files in the user's state folder, one pair a machine name: the kernel frees them
when a process dies, however it dies. A host that is killed in the middle of a timed run leaves that run to
the agent of this machine, which holds a lock of its own meanwhile; ``host_work`` waits for that one too.
"""

import fcntl
import os
import platform
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hytnas_agent.own_folder import make_private
from hytnas_agent.paths import state_folder
from hytnas_host.devices.errors import QuietError
from hytnas_host.devices.state import host_state_folder


class _Held(threading.local):
    """What this thread holds now, by folder: ``host`` or ``quiet``."""

    def __init__(self) -> None:
        self.kinds: dict[Path, str] = {}


_held = _Held()


def quiet_folder() -> Path:
    """Where the lock files lie: the user's state folder (the runtime folder differs between logins)."""
    return host_state_folder() / "quiet"


@contextmanager
def host_work(folder: Path | None = None) -> Iterator[None]:
    """Hold while heavy work of the host goes on; waits while a timed run holds the machine.

    Nested use in one thread holds once. Hold it for seconds at most (one export, one training step, one fit):
    a timed run waits that long.

    Parameters
    ----------
    folder : Path, optional
        Where the lock files lie; ``quiet_folder()`` by default.

    Raises
    ------
    QuietError
        Inside ``quiet_machine`` of the same thread, which could never be granted, or if the lock files cannot
        be opened.
    """
    with _turn(folder, "host", fcntl.LOCK_SH):
        _await_timed_run(state_folder().timed_lock)
        yield


@contextmanager
def quiet_machine(folder: Path | None = None) -> Iterator[None]:
    """Hold while a timed run goes on; waits until host work and other timed runs have stopped.

    Parameters
    ----------
    folder : Path, optional
        Where the lock files lie; ``quiet_folder()`` by default.

    Raises
    ------
    QuietError
        Inside ``host_work`` of the same thread, which could never be granted, or if the lock files cannot be
        opened.
    """
    with _turn(folder, "quiet", fcntl.LOCK_EX):
        yield


def _await_timed_run(lock: Path) -> None:
    """Wait until the agent of this machine has ended the timed run that it is at."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return  # no agent has measured here
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


@contextmanager
def _turn(folder: Path | None, kind: str, mode: int) -> Iterator[None]:
    where = (folder or quiet_folder()).absolute()
    held = _held.kinds.get(where)
    if held == kind:
        yield
        return
    if held is not None:
        raise QuietError(
            f"{kind} turn asked for inside a {held} turn of the same thread", "this is a defect: report it"
        )
    machine = re.sub(r"[^A-Za-z0-9._-]", "_", platform.node()) or "localhost"
    with (
        _locked_file(where / f"{machine}.turnstile", fcntl.LOCK_EX) as turnstile,
        _locked_file(where / f"{machine}.machine", mode),
    ):
        fcntl.flock(turnstile, fcntl.LOCK_UN)
        _held.kinds[where] = kind
        try:
            yield
        finally:
            del _held.kinds[where]


@contextmanager
def _locked_file(path: Path, mode: int) -> Iterator[int]:
    try:
        make_private(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise QuietError(
            f"cannot open the lock file {path}: {error.strerror}",
            "set XDG_STATE_HOME to a folder that can be written",
        ) from error
    try:
        fcntl.flock(descriptor, mode)
        yield descriptor
    finally:
        # Unlocked by name: a forked child may still hold a copy of the descriptor.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
