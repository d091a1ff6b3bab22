"""What goes wrong is said in one line, with what to do, and an exit status."""

import contextlib
import errno
import os
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hytnas_agent.errors import HytnasError
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import Study
from hytnas_host.cli.app import app
from hytnas_host.cli.boundary import explain, show_traceback
from hytnas_host.devices import AgentDevice, registry
from hytnas_host.devices.transport import LocalTransport

from ..export.test_inspect import empty_graph


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "400"})


def error_line(result: Result) -> str:
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_an_unknown_space_names_the_known_ones() -> None:
    result = run("space", "describe", "hit")
    assert result.exit_code == 1
    assert "hyt" in error_line(result)


def test_an_unknown_device_names_the_known_ones(tmp_path: Path) -> None:
    result = run("collect", "latency", "--study", str(tmp_path / "s"), "--device", "moon")
    assert result.exit_code == 1
    line = error_line(result)
    assert "moon" in line
    assert "local" in line


def test_a_device_that_cannot_be_reached_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HYTNAS_AGENT_STATE", str(tmp_path / "file"))
    at_once = AgentDevice("local", LocalTransport(), client_id="me", shares_processor=True, backoff_s=())
    monkeypatch.setitem(registry.DEVICES, "local", lambda _: at_once)
    result = run("collect", "latency", "--study", str(tmp_path / "s"), "--n", "1")
    assert result.exit_code == 1
    line = error_line(result)
    assert "not reachable" in line
    assert "hytnas-profile device doctor local" in line
    with Study.open(tmp_path / "s", create=False) as study:
        assert [(run.command, run.status) for run in study.runs.all()] == [
            ("hytnas-profile collect latency", "failed")
        ]


def test_a_folder_whose_name_is_no_text_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYTNAS_AGENT_STATE", str(tmp_path / "agent"))
    folder = tmp_path / os.fsdecode(b"mine\xff")
    folder.mkdir()
    result = run("collect", "latency", "--study", str(tmp_path / "s"), "--models", str(folder))
    assert result.exit_code == 1
    assert "there is no model in" in error_line(result)
    with Study.open(tmp_path / "s", create=False) as study:
        assert [run.status for run in study.runs.all()] == ["failed"]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_files_are_chosen_by_precisions_that_nothing_is_exported_in(
    tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYTNAS_AGENT_STATE", str(tmp_path / "agent"))
    (tmp_path / "net.onnx").write_bytes(empty_graph("fp32"))
    arguments = ("collect", "latency", "--study", str(tmp_path / "s"), "--precision", precision)
    assert f"onnx is not exported in {precision}" in error_line(run(*arguments))
    result = run(*arguments, "--models", str(tmp_path))
    assert f"there is no model of precision {precision}" in error_line(result)


def test_wrong_usage_exits_with_two() -> None:
    assert run("collect", "latency", "--n", "none").exit_code == 2
    assert run("collect", "latitude").exit_code == 2


def test_a_study_of_another_schema_version_is_refused(tmp_path: Path) -> None:
    with Study.open(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "study.sqlite") as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    result = run("dataset", "describe", "--study", str(tmp_path))
    assert result.exit_code == 1
    assert "999" in error_line(result)


def test_a_missing_study_is_said_to_be_missing(tmp_path: Path) -> None:
    result = run("dataset", "describe", "--study", str(tmp_path / "nowhere"))
    assert result.exit_code == 1
    assert "nowhere" in error_line(result)
    assert not (tmp_path / "nowhere").exists()


def test_a_study_without_labels_says_how_to_get_some(tmp_path: Path) -> None:
    with Study.open(tmp_path) as study:
        space = get_space("hyt")
        study.architectures.add(space, [], [], "latency")
    for target, command in (("latency_ms", "collect latency"), ("accuracy", "collect accuracy")):
        result = run("leaderboard", "--study", str(tmp_path), "--target", target)
        assert result.exit_code == 1
        assert command in error_line(result)


def test_a_search_without_predictors_names_the_command_that_makes_them(tmp_path: Path) -> None:
    with Study.open(tmp_path):
        pass
    result = run("search", "--study", str(tmp_path))
    assert result.exit_code == 1
    assert "hytnas-profile train" in error_line(result)


def test_a_full_disk_is_explained() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/studies/a")
    for error in (full, sqlite3.OperationalError("database or disk is full")):
        line = explain(error)
        assert line is not None
        assert "disk is full" in line
        assert "lost" in line


def test_an_error_of_the_family_is_its_own_line_and_a_defect_is_not_hidden() -> None:
    assert explain(HytnasError("It broke", "mend it")) == "It broke. mend it"
    assert explain(ZeroDivisionError()) is None


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(HytnasError):
        CliRunner().invoke(app, ["--debug", "space", "describe", "hit"], catch_exceptions=False)


def test_rows_that_cannot_be_read_are_a_line_and_the_rest_is_shown(tmp_path: Path) -> None:
    with Study.open(tmp_path) as study:
        for command in ("one", "two"):
            study.runs.end(study.runs.begin(command, {}, {}), "done")
            study.failures.add("export", command, "did not work")
    with contextlib.closing(sqlite3.connect(tmp_path / "study.sqlite")) as connection, connection:
        connection.execute("UPDATE failure SET at_unix_s = -1 WHERE id = 1")
    for _ in range(2):
        result = run("dataset", "describe", "--study", str(tmp_path))
        assert result.exit_code == 0
        line = error_line(result)
        assert line.startswith("warning: 1 row of the table failure in")
        assert "row 1" in line


def test_a_traceback_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    error = ValueError("a\x1b[2Jb\x9bc")
    show_traceback(ValueError, error, None)
    assert capsys.readouterr().err == "ValueError: a [2Jb c\n"
