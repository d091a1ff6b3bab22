"""Accuracies of trained networks."""

import math
import sqlite3

import msgspec

from hytnas_datasets.errors import StudyError
from hytnas_datasets.store.architectures import Architectures, check_architecture, put_architecture
from hytnas_datasets.store.database import Database, Row, decode
from hytnas_datasets.store.records import AccuracyRecord, recipe_fingerprint


class Accuracies:
    """What networks were trained in the study, and how accurate they became."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: AccuracyRecord) -> None:
        """Store one training; the same network, seed, recipe and data again is left as it was.

        Raises
        ------
        StudyError
            The accuracy is not a fraction in [0, 1], there is neither an accuracy nor a failure, or the study
            knows nothing of the space.
        """
        accuracy = record.accuracy
        if accuracy is None and not record.failure:
            raise StudyError(f"the training of {record.plan_hash} has neither an accuracy nor a failure")
        if accuracy is not None and not (math.isfinite(accuracy) and 0.0 <= accuracy <= 1.0):
            raise StudyError(
                f"an accuracy of {accuracy} is not a fraction in [0, 1]", "Record the failure instead"
            )
        try:
            with self._database.transaction() as connection:
                connection.execute(
                    "INSERT INTO accuracy (architecture_id, plan_hash, seed, recipe_fingerprint, "
                    "data_fingerprint, accuracy, run_id, record) VALUES "
                    "(?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (
                        put_architecture(connection, record.architecture),
                        record.plan_hash,
                        record.seed,
                        recipe_fingerprint(record.recipe),
                        record.data_fingerprint,
                        accuracy,
                        self._database.run_id,
                        msgspec.msgpack.encode(record),
                    ),
                )
        except sqlite3.IntegrityError as error:
            raise StudyError(
                f"the study holds no architectures of the space {record.architecture.space!r}",
                "Add the sample first",
            ) from error

    def all(self) -> list[AccuracyRecord]:
        """Every training of the study, failed ones too, in the order they were stored."""
        spaces = Architectures(self._database).known_spaces()

        def make(row: Row) -> AccuracyRecord:
            record = decode(row["record"], AccuracyRecord)
            check_architecture(record.architecture, spaces)
            return record

        return self._database.read("accuracy", "SELECT id, record FROM accuracy ORDER BY id", make)

    def keys(self) -> set[tuple[str, int, str, str]]:
        """(plan hash, seed, recipe fingerprint, data fingerprint) of every training of the study."""
        return {
            (record.plan_hash, record.seed, recipe_fingerprint(record.recipe), record.data_fingerprint)
            for record in self.all()
        }
