import os
from pathlib import Path

import pytest

from hytnas_agent.errors import AgentError
from hytnas_agent.paths import StateFolder, state_folder
from hytnas_agent.whole_file import DRAFTS, replacing


def test_the_folder_is_found_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HYTNAS_AGENT_STATE", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert state_folder().root == tmp_path / ".local/state/hytnas-agent"
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert state_folder().root == Path("/xdg/hytnas-agent")
    monkeypatch.setenv("HYTNAS_AGENT_STATE", "/elsewhere")
    assert state_folder().root == Path("/elsewhere")
    assert state_folder("/given").root == Path("/given")


def test_the_folder_is_private(tmp_path: Path) -> None:
    root = tmp_path / "open"
    root.mkdir(mode=0o755)
    StateFolder(root).create()
    assert root.stat().st_mode & 0o777 == 0o700


def test_a_path_too_long_for_a_socket_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"longer than Linux allows.*--state"):
        StateFolder(tmp_path / ("x" * 100)).create()


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AgentError, match="cannot be used"):
        StateFolder(tmp_path / "file").create()


def test_one_lease_file_may_serve_a_whole_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYTNAS_AGENT_LEASE", raising=False)
    assert StateFolder(tmp_path).lease == tmp_path / "lease.lock"
    monkeypatch.setenv("HYTNAS_AGENT_LEASE", os.fspath(tmp_path / "shared"))
    assert StateFolder(tmp_path).lease == tmp_path / "shared"


def test_what_a_writer_that_was_killed_left_is_deleted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateFolder(tmp_path / "state").create()
    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", lambda *_arguments, **_options: None)
        with pytest.raises(KeyboardInterrupt), replacing(state.core_speeds):
            raise KeyboardInterrupt
    assert [file.name for file in state.root.glob(DRAFTS)] != []
    state.delete()
    assert not state.root.exists()
