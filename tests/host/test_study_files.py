"""The results of a study beside its store: written whole, read back, and named with what makes them."""

import os
from pathlib import Path

import msgspec
import pytest

from hytnas_host import study_files
from hytnas_host.study_files import (
    ResultFileError,
    StudyFiles,
    command_for,
    digest,
    read_json,
    read_json_if_there,
    write_json,
)


class Result(msgspec.Struct, frozen=True):
    value: float


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    files = StudyFiles(tmp_path / "study")
    write_json(files.search, Result(0.1))
    assert read_json(files.search, Result) == Result(0.1)
    assert list(files.folder.iterdir()) == [files.search]


def test_a_result_that_was_not_made_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    files = StudyFiles(tmp_path)
    assert read_json_if_there(files.verification, Result) is None
    with pytest.raises(ResultFileError, match=f"hytnas-profile verify --study {tmp_path}"):
        read_json(files.verification, Result)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"value": "x"}'])
def test_a_damaged_result_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = StudyFiles(tmp_path).leaderboard("latency_ms")
    path.write_bytes(content)
    with pytest.raises(ResultFileError, match="damaged") as raised:
        read_json(path, Result)
    assert "hytnas-profile leaderboard --target latency_ms" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_no_result_can_be_is_damage(tmp_path: Path) -> None:
    files = StudyFiles(tmp_path)
    os.mkfifo(files.run)
    with pytest.raises(ResultFileError, match="no regular file"):
        read_json(files.run, Result)
    for content in (b'{"value": 1e200}', b"[" * 100_000):
        files.search.write_bytes(content)
        with pytest.raises(ResultFileError, match=r"search\.json is damaged .*Delete it and make it again"):
            read_json(files.search, Result)


def test_whoever_reads_a_result_has_the_same_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = StudyFiles(tmp_path).run
    write_json(path, Result(1.0))
    monkeypatch.setattr(study_files, "MAX_JSON_BYTES", 10)
    for read in (read_json, read_json_if_there):
        with pytest.raises(ResultFileError, match="larger than"):
            read(path, Result)


def test_every_result_has_a_command(tmp_path: Path) -> None:
    files = StudyFiles(tmp_path)
    results = (files.search, files.verification, files.run, files.leaderboard("accuracy"))
    commands = [command_for(path).removeprefix("hytnas-profile ").split()[0] for path in results]
    assert commands == ["search", "verify", "run", "leaderboard"]


def test_the_digest_changes_with_a_name_and_with_a_byte(tmp_path: Path) -> None:
    file = tmp_path / "a"
    assert digest(file) == ""
    file.write_bytes(b"1")
    first = digest(file)
    file.write_bytes(b"2")
    second = digest(file)
    assert digest(file.rename(tmp_path / "b")) not in (first, second)
    assert first != second


@pytest.mark.parametrize("content", [b"", b"Dear reader", b"[1]", b'{"mine": "", "value": 3}', b"\xff"])
def test_a_file_of_somebody_else_is_not_written_over(tmp_path: Path, content: bytes) -> None:
    path = StudyFiles(tmp_path).run
    path.write_bytes(content)
    with pytest.raises(ResultFileError, match=r"run\.json is there already.*Move it away"):
        write_json(path, Result(1.0))
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b'{"value": "older"}', b'{"value": 1, "since": 2, "unit": ""}'])
def test_a_result_of_another_version_is_replaced(tmp_path: Path, content: bytes) -> None:
    class Wide(Result, frozen=True):
        unit: str = ""

    path = StudyFiles(tmp_path).run
    path.write_bytes(content)
    write_json(path, Wide(1.0))
    assert read_json(path, Wide) == Wide(1.0)


def test_checkpoints_are_known_by_their_whole_name(tmp_path: Path) -> None:
    files = StudyFiles(tmp_path)
    own = {files.search_checkpoint(key) for key in ("0123abcd-89abcdef", "-89abcdef")}
    own.add(tmp_path / "search-checkpoint-0123abcd-89abcdef.json")  # of an earlier version
    for path in own | {files.search_checkpoint(key) for key in ("best", "0123abcd-89abcdef-kept")}:
        path.touch()
    assert set(files.search_checkpoints()) == own
