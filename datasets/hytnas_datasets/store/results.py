"""What fresh processes measured, and which of it is kept out of the labels."""

import sqlite3
import time
from collections.abc import Iterable

import msgspec

from hytnas_agent.label import plausible
from hytnas_agent.records import ProcessResult
from hytnas_datasets.errors import StudyError
from hytnas_datasets.store.database import Database, Row, checked, decode, unknown_model
from hytnas_datasets.store.devices import put_context
from hytnas_datasets.store.records import DiscardRecord, Purpose


class StoredResult(msgspec.Struct, frozen=True):
    """What one process measured, of which model and for what."""

    model_sha256: str
    purpose: str
    replicate: int
    result: ProcessResult


class Results:
    """What one process each measured, raw samples included, and the results that were discarded."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, result: ProcessResult, *, model_sha256: str, purpose: str, replicate: int) -> ProcessResult:
        """Store what one process measured; what is stored of it now: a known ``job_id`` is left as it is.

        Raises StudyError if the model's export is not stored yet, or the job is stored as one of another
        model or purpose.
        """
        try:
            with self._database.transaction() as connection:
                connection.execute(
                    "INSERT INTO result (job_id, model_sha256, purpose, replicate, measure_pass, outcome, "
                    "device_id, context_fingerprint, started_unix_s, median_ms, run_id, record, verdict) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job_id) DO NOTHING",
                    (
                        result.job_id,
                        model_sha256,
                        purpose,
                        replicate,
                        result.measure_pass,
                        result.outcome.value,
                        result.identity.device_id,
                        put_context(connection, result.context) or None,
                        result.started_unix_s,
                        result.median_ms,
                        self._database.run_id,
                        msgspec.msgpack.encode(result),
                        "" if result.verdict is None else result.verdict.status,
                    ),
                )
                stored = _kept(connection, result)
        except sqlite3.IntegrityError as error:
            raise unknown_model(model_sha256) from error
        if (stored.model_sha256, stored.purpose, stored.replicate) != (model_sha256, purpose, replicate):
            raise StudyError(
                f"the job {result.job_id} is stored as one of another model or purpose",
                "Look what else writes into this study, and end it",
            )
        return stored.result

    def all(self, purpose: str | None = None, *, model_sha256: str | None = None) -> list[StoredResult]:
        """The jobs of a purpose and a model (``None``: of all), in the order they were stored.

        Not by ``started_unix_s``: the clock of a board may jump. What cannot have been measured, and was
        stored all the same, is INTERNAL.
        """
        return self._database.read(
            "result",
            "SELECT rowid, job_id, model_sha256, purpose, replicate, record FROM result "
            "WHERE (:model IS NULL OR model_sha256 = :model) AND (:purpose IS NULL OR purpose = :purpose) "
            "ORDER BY rowid",
            _as_result,
            {"model": model_sha256, "purpose": purpose},
        )

    def standing(self, purpose: str | None = None) -> list[StoredResult]:
        """The jobs of a purpose (``None``: of all) that are not discarded, in the order they were stored."""
        left_out = self.discarded()
        return [stored for stored in self.all(purpose) if stored.result.job_id not in left_out]

    def of_model(self, model_sha256: str, purpose: str) -> list[ProcessResult]:
        """What the processes of a model measured for ``purpose``, in the order they were stored."""
        return [stored.result for stored in self.all(purpose, model_sha256=model_sha256)]

    def by_model(self, purpose: str) -> dict[str, list[tuple[int, ProcessResult]]]:
        """(replicate, result) of every job of ``purpose`` by model hash, in the order they were stored."""
        grouped: dict[str, list[tuple[int, ProcessResult]]] = {}
        for stored in self.all(purpose):
            grouped.setdefault(stored.model_sha256, []).append((stored.replicate, stored.result))
        return grouped

    def by_job(self, purpose: str | None = None) -> dict[str, ProcessResult]:
        """What each job of ``purpose`` (``None``: of all) measured, by its id."""
        return {stored.result.job_id: stored.result for stored in self.all(purpose)}

    def canaries(self) -> list[ProcessResult]:
        """The canary's series: every result stored for the purpose "canary", in the order it was stored."""
        return [stored.result for stored in self.all(Purpose.CANARY)]

    def discard(self, job_ids: Iterable[str], reason: str) -> None:
        """Keep stored results out of every label made from here on, and say why; they are not deleted."""
        at_unix_s = time.time()
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO discarded (job_id, reason, at_unix_s) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(job_id, reason, at_unix_s) for job_id in job_ids],
            )

    def discards(self) -> list[DiscardRecord]:
        """Every discarded result, in the order they were; those discarded at once have the same time."""
        return self._database.read(
            "discarded",
            "SELECT rowid, job_id, reason, at_unix_s FROM discarded ORDER BY rowid",
            lambda row: checked(DiscardRecord(*row[1:])),
        )

    def discarded(self) -> dict[str, str]:
        """Why each discarded result was, by job id, in the order they were."""
        return {record.job_id: record.reason for record in self.discards()}


def _kept(connection: sqlite3.Connection, result: ProcessResult) -> StoredResult:
    """What is stored of a job; ``result`` takes the place of what cannot be read."""
    query = "SELECT job_id, model_sha256, purpose, replicate, record FROM result WHERE job_id = ?"
    try:
        return _as_result(connection.execute(query, (result.job_id,)).fetchone())
    except StudyError:
        connection.execute(
            "UPDATE result SET outcome = ?, median_ms = ?, record = ? WHERE job_id = ?",
            (result.outcome.value, result.median_ms, msgspec.msgpack.encode(result), result.job_id),
        )
    return _as_result(connection.execute(query, (result.job_id,)).fetchone())


def _as_result(row: Row) -> StoredResult:
    result = plausible(decode(row["record"], ProcessResult))
    if result.job_id != row["job_id"]:
        raise StudyError(f"the result of the job {row['job_id']} is one of {result.job_id}")
    return StoredResult(row["model_sha256"], row["purpose"], row["replicate"], result)
