"""A file that is written as a whole never shows half of its content, and leaves nothing behind."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hytnas_agent.whole_file import replacing, write_whole, written_once


def test_the_content_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_whole(file, b"old")
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_content_and_no_draft(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_whole(file, b"old")

    def fail() -> None:
        with replacing(file) as draft:
            draft.write(b"half of the n")
            draft.flush()
            assert file.read_bytes() == b"old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """What was brought to the disk: its name, and what was in its folder by then."""
    found: list[tuple[str, list[str]]] = []

    def fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        folder = path if path.is_dir() else path.parent
        found.append((path.name, [file.name for file in folder.iterdir()]))

    monkeypatch.setattr("os.fsync", fsync)
    return found


def test_the_content_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, synced: list[tuple[str, list[str]]]
) -> None:
    write_whole(tmp_path / "a.json", b"new")
    (draft, before), (folder, after) = synced
    assert draft.startswith(".a.json.")
    assert before == [draft]
    assert (folder, after) == (tmp_path.name, ["a.json"])
    synced.clear()
    write_whole(tmp_path / "a.json", b"newer", durable=False)
    assert synced == []


def test_what_is_written_once_is_whole_before_it_has_its_name(
    tmp_path: Path, synced: list[tuple[str, list[str]]]
) -> None:
    path = tmp_path / "folder" / "client-id"
    assert written_once(path, "first") == "first"
    (_, before), (folder, after) = synced
    assert path.name not in before
    assert (folder, path.name in after) == ("folder", True)
    assert written_once(path, "second") == "first"
    assert [file.name for file in path.parent.iterdir()] == ["client-id"]


def test_a_loop_of_links_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    write_whole(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere" / "real"
    link = tmp_path / "link"
    link.symlink_to(real)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o644)])
def test_a_private_file_is_for_the_user_alone(tmp_path: Path, private: bool, mode: int) -> None:
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "a", b"", private=private)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


@pytest.mark.parametrize("private", [True, False])
def test_a_file_that_is_replaced_keeps_the_mode_that_a_person_gave_it(tmp_path: Path, private: bool) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(0o640)
    write_whole(tmp_path / "a", b"new", private=private)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_of_several_that_make_a_file_once_the_first_wins(tmp_path: Path) -> None:
    file = tmp_path / "identity"
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda number: written_once(file, str(number)), range(32)))
    assert found == {file.read_text()}
    assert list(tmp_path.iterdir()) == [file]
