"""The model files of a study."""

import msgspec

from hytnas_datasets.store.database import Database, decode
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
                "INSERT INTO export (sha256, plan_hash, resolution, classes, format, precision, converter, "
                "run_id, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET "
                "plan_hash = excluded.plan_hash, resolution = excluded.resolution, "
                "classes = excluded.classes, precision = excluded.precision, "
                "converter = excluded.converter, record = excluded.record "
                "WHERE excluded.plan_hash IS NOT NULL OR export.plan_hash IS NULL",
                (
                    record.sha256,
                    record.plan_hash,
                    record.resolution,
                    record.classes,
                    record.format,
                    record.precision,
                    record.converter,
                    self._database.run_id,
                    msgspec.msgpack.encode(record),
                ),
            )

    def find(
        self, plan_hash: str, resolution: int, classes: int, *, format: str, precision: str, converter: str
    ) -> ExportRecord | None:
        """The newest model file of a network for a task, made like this, or ``None``."""
        rows = self._database.query(
            "SELECT record FROM export WHERE plan_hash = ? AND resolution = ? AND classes = ? "
            "AND format = ? AND precision = ? AND converter = ? ORDER BY id DESC LIMIT 1",
            (plan_hash, resolution, classes, format, precision, converter),
        )
        return decode(rows[0]["record"], ExportRecord) if rows else None

    def all(self) -> list[ExportRecord]:
        """Every model file of the study, in the order they were stored."""
        return [
            decode(row["record"], ExportRecord)
            for row in self._database.query("SELECT record FROM export ORDER BY id")
        ]
