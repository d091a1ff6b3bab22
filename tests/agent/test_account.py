"""Accounts as containers have them, and limits as shared machines set them."""

import os
import pwd
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from hytnas_agent import supervisor
from hytnas_agent.account import base_folder, user_name
from hytnas_agent.device.cgroup import CgroupLimits
from hytnas_agent.errors import AgentError
from hytnas_agent.limits import at_most
from hytnas_agent.paths import StateFolder, state_folder


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user id that the system does not know, without HOME."""
    for variable in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_STATE_HOME", "HYTNAS_AGENT_STATE"):
        monkeypatch.delenv(variable, raising=False)

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.usefixtures("nobody")
def test_a_user_without_a_name_has_a_number() -> None:
    assert user_name() == f"uid-{os.getuid()}"


@pytest.mark.usefixtures("nobody")
def test_a_user_without_a_home_is_told_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "has no home: HOME is not set, .* Set HOME, or XDG_STATE_HOME, to a folder of your own"
    with pytest.raises(AgentError, match=line):
        state_folder()
    assert state_folder(tmp_path / "given") == StateFolder(tmp_path / "given")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert base_folder("XDG_STATE_HOME", ".local/state") == tmp_path
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert base_folder("XDG_STATE_HOME", ".local/state") == tmp_path / ".local/state"


def test_a_limit_is_lowered_and_never_raised() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        bounds = [at_most(resource.RLIMIT_DATA, value, process.pid) for value in (10**9, 2 * 10**9, 10**8)]
        assert resource.prlimit(process.pid, resource.RLIMIT_DATA) == (10**8, 10**8)
        process.kill()
    assert bounds == [10**9, 10**9, 10**8]


def test_a_job_may_take_a_share_of_what_its_control_group_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "cgroup_limits", lambda: CgroupLimits(memory_left_bytes=1000))
    assert supervisor._default_memory_limit_bytes() == 800
