import os
from pathlib import Path

import pytest

from hytnas_agent.errors import AgentError
from hytnas_agent.lease import DeviceLease
from hytnas_agent.own_folder import MARKER
from hytnas_agent.paths import StateFolder, state_folder
from hytnas_agent.whole_file import replacing


def test_the_folder_is_found_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HYTNAS_AGENT_STATE", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert state_folder().root == tmp_path / ".local/state/hytnas-agent"
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert state_folder().root == Path("/xdg/hytnas-agent")
    monkeypatch.setenv("HYTNAS_AGENT_STATE", "")
    assert state_folder("").root == Path("/xdg/hytnas-agent")
    monkeypatch.setenv("HYTNAS_AGENT_STATE", "/elsewhere")
    assert state_folder().root == Path("/elsewhere")
    assert state_folder("/given").root == Path("/given")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


# Names that the agent, or a part of its names that it once deleted by, would take for its own.
FOREIGN = ("identity", "uv.lock", "backup.lock", ".letter.draft", "journal.sqlite", "spool/thesis.tex")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder of somebody else's."""
    folder = tmp_path / "project"
    fill(folder)
    folder.chmod(0o755)
    return folder


def fill(folder: Path) -> None:
    for name in FOREIGN:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def left_in(folder: Path) -> dict[str, str]:
    """Every file below a folder and what it holds."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def run_through(state: StateFolder) -> None:
    """Create the state folder, keep something of everything there, and delete it."""
    state.create()
    for path in state.files:
        path.write_text("the agent's")
    (state.spool / f"{'a' * 64}.onnx").write_text("model")
    (state.incoming / "upload").write_text("half a model")
    state.delete()


@pytest.mark.parametrize("how", ["option", "variable", "link", "working folder"])
def test_a_folder_of_somebody_else_stays_as_it_is(
    foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    (tmp_path / "link").symlink_to(foreign)
    monkeypatch.chdir(foreign)
    monkeypatch.setenv("HYTNAS_AGENT_STATE", str(foreign) if how == "variable" else "")
    named = {"option": foreign, "link": tmp_path / "link", "working folder": "."}.get(how)
    state = state_folder(named)
    assert state.root.resolve() == foreign / "hytnas-agent"
    run_through(state)
    assert left_in(foreign) == {name: name for name in FOREIGN}
    assert sorted(path.name for path in foreign.iterdir()) == sorted(
        {Path(name).parts[0] for name in FOREIGN}
    )
    assert mode(foreign) == 0o755


def test_what_somebody_puts_into_the_state_folder_later_is_kept(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state").create()
    later = ("uv.lock", ".letter.draft", "notes", "spool/thesis.tex", "spool/incoming/folder/file")
    for name in later:
        (state.root / name).parent.mkdir(exist_ok=True)
        (state.root / name).write_text(name)
    assert state_folder(state.root).root == state.root
    run_through(state)
    assert left_in(state.root) == {name: name for name in later}


def test_the_folder_is_found_again_wherever_it_was_put(foreign: Path, tmp_path: Path) -> None:
    for named in (foreign, tmp_path / "new"):
        first = state_folder(named).create()
        assert (first.root / MARKER).is_file()
        assert state_folder(named) == state_folder(first.root) == first


def test_a_folder_that_no_agent_has_made_is_refused_where_it_is_used_directly(foreign: Path) -> None:
    (foreign / "hytnas-agent").mkdir()
    with pytest.raises(AgentError, match=r"project/hytnas-agent is there already.*does not exist yet"):
        state_folder(foreign).create()
    assert mode(foreign) == 0o755


def test_no_marker_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYTNAS_AGENT_STATE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    default = tmp_path / "hytnas-agent"
    default.mkdir()
    (default / "identity").write_text("made before there were markers")
    assert state_folder().create().root == default
    (default / MARKER).unlink()
    (default / "uv.lock").write_text("")
    default.chmod(0o755)
    assert state_folder().create().root == default / "hytnas-agent"
    assert mode(default) == 0o755


def test_agents_that_start_at_once_share_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "state"
    second = state_folder(named)
    rename = Path.rename

    def overtaken(draft: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        assert second.create().root == named
        return rename(draft, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    assert state_folder(named).create().root == named
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_the_folder_is_private(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "new/state").create()
    assert mode(state.root) == 0o700
    state.root.chmod(0o755)
    StateFolder(state.root).create()
    assert mode(state.root) == 0o700


def test_under_any_umask_the_folders_above_it_are_private_too(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        state = StateFolder(tmp_path / "a/b/state").create()
    finally:
        os.umask(before)
    made = [tmp_path / "a", tmp_path / "a/b", state.root, state.spool, state.incoming]
    assert [mode(folder) for folder in made] == [0o700] * 5


def test_a_path_too_long_for_a_socket_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"longer than Linux allows.*--state"):
        StateFolder(tmp_path / ("x" * 100)).create()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    StateFolder(target).create()
    target.chmod(0o755)
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(AgentError, match=r"link is a link\. Name the folder that it leads to"):
        StateFolder(tmp_path / "link").create()
    assert mode(target) == 0o755


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AgentError, match="cannot be used"):
        state_folder(tmp_path / "file").create()


def test_one_lease_file_may_serve_a_whole_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYTNAS_AGENT_LEASE", raising=False)
    assert StateFolder(tmp_path).lease == tmp_path / "lease.lock"
    monkeypatch.setenv("HYTNAS_AGENT_LEASE", os.fspath(tmp_path / "shared"))
    assert StateFolder(tmp_path).lease == tmp_path / "shared"


def test_a_lease_file_that_holds_something_else_is_not_written_to(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    with pytest.raises(AgentError, match=r"notes\.txt is no lease file.*HYTNAS_AGENT_LEASE"):
        DeviceLease(notes).acquire("me", "latencies", 1)
    assert notes.read_text() == "mine"


def test_what_a_writer_that_was_killed_left_is_deleted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateFolder(tmp_path / "state").create()
    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", lambda *_arguments, **_options: None)
        with pytest.raises(KeyboardInterrupt), replacing(state.core_speeds):
            raise KeyboardInterrupt
    assert [file.name for file in state.root.glob(".*.draft")] != []
    state.delete()
    assert not state.root.exists()
