"""Rows that cannot be read are named and left out; the rest of the study stays of use."""

import contextlib
import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from hytnas_agent.records import HealthSnapshot
from hytnas_datasets.errors import DamagedRowsWarning, StudyError
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import Space
from hytnas_datasets.spaces.space import Architecture
from hytnas_datasets.store import AccuracyRecord, ExportRecord, Study
from hytnas_datasets.store.database import decode
from hytnas_datasets.store.records import CurvePoint


@pytest.fixture
def full(
    study: Study, space: Space, measured: list[Architecture], make: SimpleNamespace
) -> Iterator[tuple[Study, sqlite3.Connection]]:
    """A study with a row in most tables, and a second connection that keeps to none of its rules."""
    study.runs.end(study.runs.begin("collect latency", {"n": 3}, {}), "done")
    for number, accuracy in enumerate((0.5, 0.6)):
        study.accuracies.add(make.accuracy(measured[number], f"p{number}", 0, accuracy=accuracy))
    for number in range(2):
        result = make.result(f"job-{number}", "m0")
        study.results.add(result, model_sha256="m0", purpose="latency", replicate=number)
    study.results.discard(["job-1"], "drift")
    study.failures.add("export", "p9", "did not work")
    connection = sqlite3.connect(study.path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = OFF")
    yield study, connection
    connection.close()


ACCURACY = AccuracyRecord(Architecture("tiny", (0,)), "p", 0, 0.5, {}, "digits", Task(), 2, 100)
DEEP = b"\x91" * 5000
CASES = [
    ("run", "config", "{", 3),
    ("run", "environment", "[]", 3),
    ("run", "started_unix_s", 1e300, 3),
    ("space", "variables", "null", 0),
    ("architecture", "choices", "[99, 0, 0]", 2),
    ("architecture", "choices", "[0]", 2),
    ("export", "record", b"", 2),
    ("context", "record", b"\xc0", 0),
    ("result", "record", DEEP, 3),
    ("result", "job_id", "another", 3),
    ("latency_label", "record", b"\x80", 2),
    ("accuracy", "record", b"\xff\xfe", 3),
    ("discarded", "at_unix_s", -1.0, 3),
    ("failure", "at_unix_s", 1e300, 3),
]


def read_all(study: Study) -> int:
    """Read it by every reader; how many latencies are left."""
    study.describe()
    study.runs.all()
    study.export_tables(study.folder / "tables")
    return sum(stored.label.usable for stored in study.labels.all("latency"))


@pytest.mark.parametrize(("table", "column", "value", "left"), CASES)
def test_a_damaged_row_is_named_and_left_out(
    full: tuple[Study, sqlite3.Connection], table: str, column: str, value: object, left: int
) -> None:
    study, connection = full
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = 1", (value,))
    with pytest.warns(DamagedRowsWarning) as told:
        assert read_all(study) == left
    lines = [str(each.message) for each in told]
    assert any(
        line.startswith(f"1 row of the table {table} in {study.path} cannot be read") for line in lines
    )
    assert not any("\n" in line for line in lines)


def test_text_that_is_no_utf8_is_read_as_far_as_it_can_be(full: tuple[Study, sqlite3.Connection]) -> None:
    study, connection = full
    connection.execute("UPDATE failure SET message = CAST(x'61ff62' AS TEXT)")
    assert [failure.message for failure in study.failures.all()] == ["a\N{REPLACEMENT CHARACTER}b"]


def test_what_was_damaged_is_mended_by_the_next_measurement(
    full: tuple[Study, sqlite3.Connection], make: SimpleNamespace
) -> None:
    study, connection = full
    connection.execute("UPDATE result SET record = x'c0' WHERE job_id = 'job-0'")
    study.results.add(make.result("job-0", "m0"), model_sha256="m0", purpose="latency", replicate=0)
    assert [stored.result.job_id for stored in study.results.all()] == ["job-0", "job-1"]
    connection.execute("UPDATE context SET record = x'c0'")
    study.labels.add(make.label("m0"), "latency", "board-1", make.context())
    assert make.context() in study.devices.contexts().values()


@pytest.mark.parametrize("path", ["../../secret.onnx", "/etc/passwd", "link/secret.onnx", "models/a\0b"])
def test_a_model_file_outside_of_the_study_is_refused(study: Study, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.onnx").write_text("secret")
    (study.folder / "link").symlink_to(tmp_path)
    with pytest.raises(StudyError, match="outside of itself"):
        study.file(path)
    assert study.file("models/a.onnx") == study.folder / "models/a.onnx"


@pytest.mark.parametrize("task", [{"resolution": -1}, {"classes": 0}, {"resolution": 2**62}, {"sizes": 3}, 5])
def test_a_task_that_no_network_has_is_a_fault(task: object) -> None:
    fields = msgspec.to_builtins(ExportRecord("a", "onnx", "a.onnx", 1))
    with pytest.raises(StudyError, match=r"-1|0|resolution is|unknown field|Expected `object"):
        decode(msgspec.msgpack.encode(fields | {"task": task}), ExportRecord)


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (HealthSnapshot(-1.0), "at_unix_s is -1.0"),
        (HealthSnapshot(1.0, clock_mhz=math.nan), "clock_mhz is nan"),
        (ExportRecord("a", "onnx", "a.onnx", -1), "size_bytes is -1"),
        (ACCURACY, None),
        (msgspec.structs.replace(ACCURACY, accuracy=math.nan), "it lacks an accuracy in"),
        (msgspec.structs.replace(ACCURACY, test_images=0), "it lacks test images"),
        (msgspec.structs.replace(ACCURACY, curve=(CurvePoint(2**60, 0.1),)), "epoch is"),
    ],
)
def test_numbers_that_cannot_be_reckoned_with_are_faults(record: msgspec.Struct, fault: str | None) -> None:
    expected = contextlib.nullcontext() if fault is None else pytest.raises(StudyError, match=fault)
    with expected:
        assert decode(msgspec.msgpack.encode(record), type(record)) == record
