"""What a study holds, in a form that two studies can be compared in; times and latencies left out."""

import collections
import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from .board import Board

_QUERIES = {
    "architectures": (
        "SELECT sample.purpose, space, choices, plan_hash FROM sample "
        "JOIN architecture ON architecture.id = architecture_id ORDER BY sample.id"
    ),
    "exports": "SELECT plan_hash, sha256, format, precision FROM export ORDER BY sha256",
    "labels": (
        "SELECT purpose, model_sha256, device_id, context_fingerprint, outcome FROM latency_label "
        "ORDER BY purpose, model_sha256, device_id"
    ),
    # The last attempt of each process.
    "results": (
        "SELECT purpose, model_sha256, measure_pass, replicate, device_id, outcome FROM result "
        "WHERE purpose != 'canary' AND rowid IN (SELECT max(rowid) FROM result "
        "GROUP BY purpose, model_sha256, measure_pass, replicate, device_id) ORDER BY 1, 2, 3, 4, 5"
    ),
    "failures": "SELECT stage, subject, message FROM failure ORDER BY id",
}
# Those that something disturbed are measured again, as they should be.
_TWICE = (
    "SELECT purpose, model_sha256, measure_pass, replicate FROM result WHERE outcome = 'OK' "
    "GROUP BY purpose, model_sha256, measure_pass, replicate, device_id HAVING sum(verdict != 'INVALID') > 1"
)
_CANARIES = (
    "SELECT device_id, model_sha256, replicate, sum(verdict != 'INVALID') FROM result "
    "WHERE purpose = 'canary' AND outcome = 'OK' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
)


@dataclass(frozen=True)
class DataSet:
    """The contents of a study: rows by what they are, and how many canaries each device measured."""

    rows: dict[str, list[tuple[object, ...]]]
    canaries: dict[str, int]


def read_dataset(study: Path) -> DataSet:
    """Read a study that nobody is writing, after checking that its file is whole and its canaries too."""
    with contextlib.closing(sqlite3.connect(study / "study.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        assert database.execute(_TWICE).fetchall() == [], "a process was measured twice"
        rows = {name: database.execute(query).fetchall() for name, query in _QUERIES.items()}
        series = collections.defaultdict(list)
        for device, _, replicate, count in database.execute(_CANARIES):
            assert count <= 1, f"canary {replicate} of {device} was measured {count} times"
            series[device].append(replicate)
    for device, replicates in series.items():
        assert replicates == list(range(len(replicates))), f"the canaries of {device} have gaps: {replicates}"
    return DataSet(rows, {device: len(replicates) for device, replicates in series.items()})


def assert_same(study: Path, reference: DataSet, *boards: Board) -> None:
    """Nothing lost, nothing twice, nothing left on the boards.

    ``boards`` hold the agents that took part, of which every result must have been fetched and acknowledged.
    The number of canaries differs: each start of a collection measures one, and a disturbed one is followed
    by another. None is missing where their numbers have no gaps, with one before the models and one after.
    """
    found = read_dataset(study)
    for name, rows in reference.rows.items():
        assert found.rows[name] == rows, f"the {name} differ"
    assert found.canaries.keys() == reference.canaries.keys()
    assert min(found.canaries.values()) >= 2
    with contextlib.closing(sqlite3.connect(study / "study.sqlite")) as database:
        stored = {job for (job,) in database.execute("SELECT job_id FROM result")}
    for board in boards:
        assert board.unacknowledged == [], "results wait on the board"
        finished = {job for job, (ended, _) in board.jobs.items() if ended} - board.accounted_for
        assert finished <= stored, f"measured and not stored: {finished - stored}"
        board.accounted_for |= finished
