"""The model files of a study."""

from pathlib import Path

import msgspec

from hytnas_datasets.errors import StudyError
from hytnas_datasets.plan import Task
from hytnas_datasets.store.database import Database, Row, decode
from hytnas_datasets.store.records import ExportRecord


class Exports:
    """Records of the model files that were made for a study, or came from elsewhere."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: ExportRecord) -> None:
        """Store a model file's record; the same file again replaces it.

        Only that of a network is kept where the same file comes again as one of unknown origin.
        """
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO export (sha256, plan_hash, format, precision, converter, run_id, record) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET "
                "plan_hash = excluded.plan_hash, precision = excluded.precision, "
                "converter = excluded.converter, record = excluded.record "
                "WHERE excluded.plan_hash IS NOT NULL OR export.plan_hash IS NULL",
                (
                    record.sha256,
                    record.plan_hash,
                    record.format,
                    record.precision,
                    record.converter,
                    self._database.run_id,
                    msgspec.msgpack.encode(record),
                ),
            )

    def find(
        self, plan_hash: str, task: Task, *, format: str, precision: str, converter: str
    ) -> ExportRecord | None:
        """The newest model file of a network for a task, made like this, or ``None``."""
        found = self._database.read(
            "export",
            "SELECT id, sha256, record FROM export WHERE plan_hash = ? AND format = ? AND precision = ? "
            "AND converter = ? ORDER BY id DESC",
            as_export,
            (plan_hash, format, precision, converter),
        )
        return next((record for record in found if record.task == task), None)

    def all(self) -> list[ExportRecord]:
        """Every model file of the study, in the order they were stored."""
        return self._database.read("export", "SELECT id, sha256, record FROM export ORDER BY id", as_export)


def file_of(folder: Path, path: str) -> Path:
    """The file of the study in ``folder`` at a relative path that a record of it gives.

    Raises StudyError where that leads out of the study, also by way of a link.
    """
    found = folder / path
    try:
        inside = found.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # links in a circle, a zero byte
        inside = False
    if not inside:
        raise StudyError(
            f"the study {folder} names a model file outside of itself: {path}",
            "Have its models made again, and mind where the study came from",
        )
    return found


def as_export(row: Row) -> ExportRecord:
    """The record in the columns ``sha256`` and ``record`` of a row; raises StudyError."""
    record = decode(row["record"], ExportRecord)
    if record.sha256 != row["sha256"]:
        raise StudyError(f"the record of the model {row['sha256'][:16]} is one of {record.sha256[:16]}")
    return record
