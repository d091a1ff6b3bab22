"""Deleting the state folder: by one alone, while nobody measures, and never what is still to be put back."""

import os
import subprocess
from pathlib import Path

from hytnas_agent.device.files import ROOT
from hytnas_agent.device.governor import PinnedGovernors, governor_file
from hytnas_agent.errors import AgentError
from hytnas_agent.instance import single_instance
from hytnas_agent.lease import DeviceLease
from hytnas_agent.paths import StateFolder
from hytnas_agent.stop import check_fetched
from hytnas_agent.tuning import Run, put_back


def delete_state(
    state: StateFolder, *, keeps_results: bool, root: Path = ROOT, run: Run = subprocess.run
) -> None:
    """Put the clock's governors back as they were found, then delete what the agent keeps.

    Parameters
    ----------
    keeps_results : bool
        Whether results that no host has fetched are a reason to refuse.

    Raises
    ------
    AgentError
        If somebody measures, a server has started meanwhile, results wait, a governor may not be put back, or
        something cannot be deleted. In all but the last case nothing has been deleted.
    """
    lease = DeviceLease(state.lease)
    with single_instance(state):  # no host may start another server on what is being deleted
        lease.acquire("hytnas-agent stop", "deleting the state folder", os.getpid())
        try:
            if keeps_results:
                check_fetched(state)  # the job that was running may have ended meanwhile
            put_back(state, root=root, run=run)
            _check_put_back(state, root)
            state.delete()
        finally:
            lease.release()


def _check_put_back(state: StateFolder, root: Path) -> None:
    """Refuse where a governor is still pinned: what it was is known from the state folder alone."""
    left = PinnedGovernors(state.held_governors, root).found | PinnedGovernors(state.tuned, root).found
    if left:
        commands = "; ".join(
            f"echo {value} | sudo tee {governor_file(core, root)}" for core, value in sorted(left.items())
        )
        raise AgentError(
            f"the clock's governor of {', '.join(sorted(left))} cannot be put back as it was found, so "
            f"{state.root} is kept, which remembers it",
            f"Put it back yourself, then stop and delete again: {commands}",
        )
