"""``stop``: end the server of a state folder, whether a person, a host or systemd has started it."""

import contextlib
import os
import signal
import time
from contextlib import closing

import msgspec

from hytnas_agent.connect import RETRY_S, someone_serves
from hytnas_agent.deadline import Deadline
from hytnas_agent.device.governor import PinnedGovernors, restore_leftovers
from hytnas_agent.errors import AgentError
from hytnas_agent.journal import Journal
from hytnas_agent.lease import DeviceLease
from hytnas_agent.paths import StateFolder
from hytnas_agent.regular_file import open_regular


class Stopped(msgspec.Struct, frozen=True):
    """Which server was stopped, and how many results of the state folder no host has fetched yet."""

    pid: int | None
    unfetched_results: int


def stop_server(state: StateFolder, *, timeout_s: float) -> Stopped:
    """Ask the server to end and wait until it has; where none runs, nothing is done.

    The server hands its running job back: the host that waits for it is told so and measures it again. Where
    it was killed before, what it had pinned is put back here.

    Raises
    ------
    AgentError
        If it still runs after ``timeout_s`` seconds.
    """
    deadline = Deadline(timeout_s)
    pid: int | None = None
    while someone_serves(state):
        named = _named_pid(state)
        if named is not None and named != pid:
            pid = named
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        if deadline.expired:
            raise AgentError(
                f"the agent (pid {pid}) has not stopped within {timeout_s:g} s", f"End it with: kill -9 {pid}"
            )
        time.sleep(RETRY_S)
    restore_leftovers(PinnedGovernors(state.held_governors), DeviceLease(state.lease))
    with closing(Journal(state.journal)) as journal:
        return Stopped(pid, journal.unfetched())


def check_fetched(state: StateFolder) -> None:
    """Refuse where results wait for their hosts; raises AgentError."""
    with closing(Journal(state.journal)) as journal:
        unfetched = journal.unfetched()
    if unfetched:
        raise AgentError(
            f"{unfetched} results in {state.root} have not been fetched by the hosts that asked for them",
            "Let those hosts go on first (the command that collects, again), or discard them: stop and "
            "unprovision take --discard-results",
        )


def _named_pid(state: StateFolder) -> int | None:
    """The process id in the lock file; None while its server is about to write it."""
    try:
        with open_regular(state.server_lock) as file:
            return int(file.read(32))
    except (OSError, ValueError):
        return None
