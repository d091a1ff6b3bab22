"""Jobs and their results on the device, durable before any answer is sent."""

import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import msgspec

from hytnas_agent.errors import AgentError
from hytnas_agent.records import MeasureJob, ProcessResult

SCHEMA_VERSION = 1
KEPT_ACKNOWLEDGED = 5000
KEPT_UNACKNOWLEDGED = 50_000
FULL_DISK_BYTES = 256 * 1024
MAX_REPLAY_BYTES = 2 * 1024 * 1024
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL,
    job BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    result BLOB,
    finished_unix_s REAL,
    acknowledged INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_to_replay ON jobs (client_id, acknowledged, finished_unix_s);
"""
_RESULT = msgspec.json.Decoder(ProcessResult)


@dataclass(frozen=True)
class Entry:
    """A job as the journal knows it; ``result`` once it has ended."""

    job: MeasureJob
    result: ProcessResult | None


class Journal:
    """An SQLite file, written with a full synchronisation so that a power cut loses no finished job.

    Raises
    ------
    AgentError
        If the file is damaged or of a newer agent.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        try:
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                self._database.close()
                raise AgentError(f"the journal {path} was written by a newer agent", "Upgrade this one")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_SCHEMA)
            self._database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except sqlite3.Error as error:
            raise self._explain(error, "Move it away to start with an empty one") from error

    def begin(self, job: MeasureJob, client_id: str) -> int:
        """Note that the job is about to run; how many times it was started, this one included."""
        with self._use():
            row = self._database.execute(
                "INSERT INTO jobs (job_id, client_id, job, attempts) VALUES (?, ?, ?, 1)"
                " ON CONFLICT (job_id) DO UPDATE SET attempts = attempts + 1 RETURNING attempts",
                (job.job_id, client_id, msgspec.json.encode(job)),
            ).fetchone()
        return int(row[0])

    def hand_back(self, job: MeasureJob) -> None:
        """Note that the job is given back unfinished, through no fault of its own: it was not begun."""
        with self._use():
            self._database.execute(
                "UPDATE jobs SET attempts = attempts - 1 WHERE job_id = ? AND attempts > 0", (job.job_id,)
            )

    @contextmanager
    def _use(self) -> Iterator[None]:
        """One thread at a time; raises AgentError for whatever SQLite cannot do."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise self._explain(error, "Check the device's disk") from error

    def _explain(self, error: sqlite3.Error, next_step: str) -> AgentError:
        # On a full disk SQLite may fail to make its own files, and then says just that it cannot.
        if "full" in str(error) or shutil.disk_usage(self._path.parent).free < FULL_DISK_BYTES:
            error, next_step = sqlite3.OperationalError("its disk is full"), "Free some space on the device"
        return AgentError(f"the journal {self._path} cannot be used: {error}", next_step)

    def finish(self, job: MeasureJob, client_id: str, result: ProcessResult) -> None:
        """Record how the job ended; the first ending stands."""
        with self._use():
            self._database.execute(
                "INSERT INTO jobs (job_id, client_id, job, result, finished_unix_s) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (job_id) DO UPDATE SET result = excluded.result,"
                " finished_unix_s = excluded.finished_unix_s WHERE result IS NULL",
                (job.job_id, client_id, msgspec.json.encode(job), msgspec.json.encode(result), time.time()),
            )

    def find(self, job_id: str) -> Entry | None:
        """The job of this id, whoever sent it."""
        with self._use():
            row = self._database.execute(
                "SELECT job, result FROM jobs WHERE job_id = ?", (job_id,)
            ).fetchone()
        if row is None:
            return None
        job = msgspec.json.decode(row[0], type=MeasureJob)
        return Entry(job, _RESULT.decode(row[1]) if row[1] is not None else None)

    def results(
        self, client_id: str, job_ids: Sequence[str] | None = None
    ) -> tuple[tuple[ProcessResult, ...], bool]:
        """Finished jobs of a client, those named or else all not acknowledged, and whether there are more."""
        found: list[ProcessResult] = []
        size = 0
        with self._use():
            if job_ids is None:
                rows = self._database.execute(
                    "SELECT result FROM jobs WHERE client_id = ? AND acknowledged = 0 AND result IS NOT NULL"
                    " ORDER BY rowid",
                    (client_id,),
                )
            else:
                rows = self._database.execute(
                    "SELECT result FROM jobs WHERE client_id = ? AND result IS NOT NULL"
                    " AND job_id IN (SELECT value FROM json_each(?)) ORDER BY rowid",
                    (client_id, msgspec.json.encode(job_ids).decode()),
                )
            with closing(rows):
                for (blob,) in rows:
                    size += len(blob)
                    if found and size > MAX_REPLAY_BYTES:
                        return tuple(found), True
                    found.append(_RESULT.decode(blob))
        return tuple(found), False

    def acknowledge(self, client_id: str, job_ids: Sequence[str]) -> int:
        """Mark results as stored by their client; how many were not before."""
        with self._use():
            cursor = self._database.execute(
                "UPDATE jobs SET acknowledged = 1 WHERE client_id = ? AND acknowledged = 0"
                " AND result IS NOT NULL AND job_id IN (SELECT value FROM json_each(?))",
                (client_id, msgspec.json.encode(job_ids).decode()),
            )
            return cursor.rowcount

    def unfetched(self) -> int:
        """How many results no client has acknowledged."""
        with self._use():
            row = self._database.execute(
                "SELECT count(*) FROM jobs WHERE acknowledged = 0 AND result IS NOT NULL"
            ).fetchone()
        return int(row[0])

    def prune(self) -> None:
        """Forget all but the latest results, in the order they were asked for: the clock may have jumped.

        Acknowledged ones are kept to answer a repeated ``measure``. Of the others, which clients that never
        came back left behind, there may be ten times as many.
        """
        with self._use():
            for acknowledged, kept in ((1, KEPT_ACKNOWLEDGED), (0, KEPT_UNACKNOWLEDGED)):
                self._database.execute(
                    "DELETE FROM jobs WHERE acknowledged = ? AND rowid <= (SELECT rowid FROM jobs"
                    " WHERE acknowledged = ? ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
                    (acknowledged, acknowledged, kept),
                )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()
