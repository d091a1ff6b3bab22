import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hytnas_agent.records import Outcome, Reference
from hytnas_datasets.errors import SchemaVersionError, StudyError
from hytnas_datasets.label_context import ModelFiles
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import Space
from hytnas_datasets.store import STUDY_FILE, Study, schema

FIRST_SCHEMA = Path(__file__).with_name("study_v1.sql")


def test_a_new_study_is_marked_and_uses_a_write_ahead_log(tmp_path: Path) -> None:
    with Study.open(tmp_path) as study:
        study.runs.begin("collect", {}, {})
        connection = sqlite3.connect(study.path)
        values = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version", "journal_mode")
        ]
        connection.close()
    assert values == [schema.APPLICATION_ID, len(schema.MIGRATIONS), "wal"]


def test_a_study_opens_by_its_folder_or_its_file(tmp_path: Path) -> None:
    with Study.open(tmp_path / "a" / "b") as study:
        study.runs.begin("collect", {"n": 3}, {"python": "3.11"})
    for name in (tmp_path / "a" / "b", tmp_path / "a" / "b" / STUDY_FILE):
        with Study.open(name, create=False) as study:
            assert study.folder == tmp_path / "a" / "b"
            assert [run.config for run in study.runs.all()] == [{"n": 3}]


def test_a_missing_study_is_not_made_when_only_read(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="there is no study"):
        Study.open(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


def test_a_newer_schema_is_refused_in_one_line(tmp_path: Path) -> None:
    Study.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / STUDY_FILE)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(SchemaVersionError, match=r"schema version 99.*reads up to \d+\. Upgrade") as error:
        Study.open(tmp_path)
    assert "\n" not in str(error.value)


def test_an_older_schema_is_migrated_and_keeps_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Study.open(tmp_path) as study:
        study.runs.begin("collect", {}, {})
    added = ("ALTER TABLE run ADD COLUMN host TEXT NOT NULL DEFAULT 'unknown'",)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, added))
    with Study.open(tmp_path) as study:
        assert [run.command for run in study.runs.all()] == ["collect"]
    connection = sqlite3.connect(tmp_path / STUDY_FILE)
    assert connection.execute("SELECT host FROM run").fetchall() == [("unknown",)]
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(schema.MIGRATIONS)
    connection.close()


def test_a_study_of_the_first_schema_is_read_back_whole(tmp_path: Path, space: Space) -> None:
    connection = sqlite3.connect(tmp_path / STUDY_FILE)
    connection.executescript(FIRST_SCHEMA.read_text())
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 1
    connection.close()
    made = {"format": "onnx", "precision": "fp32", "converter": "torch.onnx (tracing)"}
    with Study.open(tmp_path, create=False) as study:
        labelled = study.labelled("latency_ms", space=space)
        jobs = [stored.label.jobs for stored in study.labels.all()]
        accuracies = study.labelled("accuracy", space=space)
        exports, found = study.exports.all(), study.exports.find("plan-1", Task(), **made)
        crashed = study.results.of_model("foreign", "latency")
        described, (run,), (failure,) = study.devices.all(), study.runs.all(), study.failures.all()
        results, names = study.results.of_model("model-0", "latency"), study.describe().boards
    assert labelled.y.tolist() == [10.0, 11.0]
    assert [row.tolist() for row in labelled.repeats] == [[9.0, 10.0, 11.0], [10.0, 11.0, 12.0]]
    assert jobs == [("job-0-0", "job-0-1", "job-0-2"), ("job-1-0", "job-1-1", "job-1-2")]
    assert labelled.context.device is not None
    assert (labelled.context.device.board, labelled.context.execution) == ("Raspberry Pi 3 Model B", "native")
    assert labelled.context.model_files == ModelFiles(**made, converter_version="2.13.0")
    assert labelled.devices == (("board-1",),) * 2
    assert (accuracies.plan_hashes, accuracies.y.tolist()) == (("plan-0",), [0.8125])
    assert [(export.sha256, export.plan_hash) for export in exports] == [
        ("model-0", "plan-0"),
        ("model-1", "plan-1"),
        ("foreign", None),
    ]
    assert found == exports[1]
    assert [export.task for export in exports] == [Task(), Task(), None]
    assert found.reference == Reference("inputs", "outputs", 0.5)
    assert [(each.outcome, each.signal) for each in crashed] == [(Outcome.CRASH, "SIGSEGV")]
    assert [each.samples_ms for each in results] == [(8.5, 9.0, 9.5), (9.5, 10.0, 10.5), (10.5, 11.0, 11.5)]
    assert [each.cpu_model for each in described] == ["Cortex-A53 r0p4"]
    assert [(board.device_id, board.name) for board in names] == [("board-1", "")]
    assert (run.status, run.config, failure.subject) == ("done", {"n": 2}, "plan-2")


def test_what_is_added_to_a_study_of_the_first_schema_is_kept_beside(
    tmp_path: Path, make: SimpleNamespace
) -> None:
    connection = sqlite3.connect(tmp_path / STUDY_FILE)
    connection.executescript(FIRST_SCHEMA.read_text())
    connection.close()
    with Study.open(tmp_path) as study:
        before = study.exports.all()
        added = make.export("model-2", "plan-0", format="tflite", converter="litert-torch")
        study.exports.add(added)
    connection = sqlite3.connect(tmp_path / STUDY_FILE)
    converters = [row[0] for row in connection.execute("SELECT converter FROM export ORDER BY id")]
    connection.close()
    assert converters == ["torch.onnx (tracing)", "torch.onnx (tracing)", "", "litert-torch"]
    with Study.open(tmp_path) as study:
        assert study.exports.all() == [*before, added]


def test_a_failing_migration_leaves_the_study_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Study.open(tmp_path).close()
    before = len(schema.MIGRATIONS)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE extra (x)", "NONSENSE")))
    with pytest.raises(StudyError, match="NONSENSE"):
        Study.open(tmp_path)
    connection = sqlite3.connect(tmp_path / STUDY_FILE)
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert "extra" not in tables
    assert connection.execute("PRAGMA user_version").fetchone()[0] == before
    connection.close()


@pytest.mark.parametrize("content", [b"not a database at all, but text" * 40, b"\x7fELF" + bytes(5000)])
def test_a_file_that_is_no_database_is_refused_and_untouched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / STUDY_FILE
    path.write_bytes(content)
    with pytest.raises(StudyError, match="not a study file"):
        Study.open(tmp_path)
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmark (url TEXT)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StudyError, match="not a study"):
        Study.open(path)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StudyError, match="cannot be made"):
        Study.open(tmp_path / "file" / "study")


def test_a_full_disk_says_what_to_do_and_keeps_what_was_stored(study: Study) -> None:
    study.failures.add("export", "before", "kept")
    connection = study._database._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StudyError, match=r"full disk.*Free some space"):
        study.failures.add("export", "after", "x" * 100_000)
    assert study.failures.all()[0].subject == "before"


def test_a_study_that_may_not_be_written_says_so(study: Study) -> None:
    study._database._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StudyError, match="cannot be written"):
        study.failures.add("export", "x", "y")


@pytest.mark.parametrize("state", ["closed", "open elsewhere", "of the first schema"])
def test_a_study_on_a_read_only_disk_is_read_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    path = tmp_path / STUDY_FILE
    connect, copied = sqlite3.connect, []
    if state == "of the first schema":
        with contextlib.closing(connect(path)) as first:
            first.executescript(FIRST_SCHEMA.read_text(encoding="utf-8"))
    writer = Study.open(tmp_path) if state != "of the first schema" else contextlib.nullcontext()
    if isinstance(writer, Study):
        writer.failures.add("export", "stored", "before")
        if state == "closed":
            writer.close()

    def read_only(database: Path | str, **options: Any) -> sqlite3.Connection:
        """As SQLite does where it can make no file beside the study."""
        if str(tmp_path) in str(database) and "immutable" not in str(database):
            raise sqlite3.OperationalError("unable to open database file")
        copied.append(database)
        return connect(database, **options)

    before = path.read_bytes()
    monkeypatch.setattr(sqlite3, "connect", read_only)
    with writer, Study.open(tmp_path, create=False) as study:
        assert study.describe().exports == (0 if isinstance(writer, Study) else 3)
        assert [failure.subject for failure in study.failures.all()]
        with pytest.raises(StudyError, match="cannot be written"):
            study.failures.add("export", "x", "y")
        assert [Path(copy).exists() for copy in copied[-1:] if isinstance(copy, Path)] == [True] * (
            state != "closed"
        )
        assert path.read_bytes() == before
    assert not any(Path(copy).exists() for copy in copied if isinstance(copy, Path))


def test_threads_may_write_at_the_same_time(study: Study) -> None:
    def write(name: str) -> None:
        for index in range(20):
            study.failures.add("export", f"{name}-{index}", "")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({failure.subject for failure in study.failures.all()}) == 80


def test_two_connections_see_each_others_commits(study: Study) -> None:
    with Study.open(study.folder) as other:
        other.failures.add("export", "there", "")
        study.failures.add("export", "here", "")
        assert [failure.subject for failure in other.failures.all()] == ["there", "here"]


WRITER = """
import sys
from hytnas_datasets.spaces import Space, Variable
from hytnas_datasets.store import Study
space = Space("tiny", (Variable("a", tuple(range(400))),))
with Study.open(sys.argv[1]) as study:
    done = len(study.architectures.of("latency"))
    for index in range(done, 400):
        study.architectures.add(space, space.decode([[index]]), [f"p{index}"], "latency")
        print(index, flush=True)
"""


def test_a_writer_killed_at_any_moment_loses_nothing_it_had_committed(tmp_path: Path, space: Space) -> None:
    confirmed = -1
    for lines in (1, 7, 40):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            for _ in range(lines):
                confirmed = int(writer.stdout.readline())
            os.kill(writer.pid, signal.SIGKILL)
            rest = writer.stdout.read().split()
        confirmed = max([confirmed, *map(int, rest)])
        with Study.open(tmp_path, create=False) as study:
            indices = [architecture.indices[0] for architecture, _ in study.architectures.of("latency")]
        assert indices == list(range(len(indices)))
        assert len(indices) > confirmed
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], check=True, stdout=subprocess.DEVNULL)
    with Study.open(tmp_path, create=False) as study:
        assert len(study.architectures.of("latency")) == 400
