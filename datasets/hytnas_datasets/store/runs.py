"""The commands that wrote into a study, and what did not work in them outside a measurement."""

import contextlib
import time
from typing import Any

import msgspec

from hytnas_datasets.errors import StudyError
from hytnas_datasets.store.database import Database, Row, checked, decode
from hytnas_datasets.store.records import FailureRecord, RunRecord
from hytnas_datasets.store.run_locks import RunLocks


class Runs:
    """Every command that wrote into the study; what is added carries the id of the one that runs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._locks = RunLocks(database.path)

    def begin(self, command: str, config: dict[str, Any], environment: dict[str, Any]) -> int:
        """Register the command that writes from here on; all that is added next carries its id.

        Runs that nobody ended and whose process is gone become "killed".
        """
        with self._database.transaction() as connection:
            for row in connection.execute("SELECT id FROM run WHERE status = 'running'").fetchall():
                if not self._locks.goes_on(row["id"]):
                    connection.execute("UPDATE run SET status = 'killed' WHERE id = ?", (row["id"],))
            cursor = connection.execute(
                "INSERT INTO run (command, config, environment, status, started_unix_s) "
                "VALUES (?, ?, ?, ?, ?)",
                (
                    command,
                    msgspec.json.encode(config).decode(),
                    msgspec.json.encode(environment).decode(),
                    "running",
                    time.time(),
                ),
            )
            run_id = cursor.lastrowid
            if run_id is None:
                raise StudyError("the run could not be registered")
            self._locks.hold(run_id)
        self._database.run_id = run_id
        return run_id

    def end(self, run_id: int, status: str) -> None:
        """Say how a run ended, e.g. "done", "failed" or "interrupted"."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE run SET status = ?, ended_unix_s = ? WHERE id = ?", (status, time.time(), run_id)
            )
            self._locks.let_go(run_id)
        if self._database.run_id == run_id:
            self._database.run_id = None

    def close(self) -> None:
        """What was begun here goes on no more, whether or not somebody said how it ended."""
        if self._locks.held:
            with contextlib.suppress(StudyError), self._database.transaction():  # at the worst a file stays
                for run_id in self._locks.held:
                    self._locks.let_go(run_id)

    def all(self) -> list[RunRecord]:
        """Every command that wrote into the study, oldest first."""
        return self._database.read("run", "SELECT * FROM run ORDER BY id", _as_run)


def _as_run(row: Row) -> RunRecord:
    record = RunRecord(
        row["id"],
        row["command"],
        decode(row["config"], dict[str, Any]),
        decode(row["environment"], dict[str, Any]),
        row["status"],
        row["started_unix_s"],
        row["ended_unix_s"],
    )
    return checked(record)


class Failures:
    """What did not work outside a measurement, e.g. an export."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, stage: str, subject: str, message: str) -> None:
        """Store what did not work in ``stage``, by the hash of its subject."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO failure (stage, subject, message, at_unix_s, run_id) VALUES (?, ?, ?, ?, ?)",
                (stage, subject, message, time.time(), self._database.run_id),
            )

    def all(self, stage: str | None = None) -> list[FailureRecord]:
        """What did not work (in ``stage``), oldest first."""
        return self._database.read(
            "failure",
            "SELECT id, stage, subject, message, at_unix_s, run_id FROM failure "
            "WHERE :stage IS NULL OR stage = :stage ORDER BY id",
            lambda row: checked(FailureRecord(*row[1:])),
            {"stage": stage},
        )
