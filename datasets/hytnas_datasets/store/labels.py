"""The latency labels that were made of a study's results."""

import sqlite3

import msgspec

from hytnas_agent.label import plausible_label
from hytnas_agent.records import DeviceContext, LatencyLabel
from hytnas_datasets.errors import StudyError
from hytnas_datasets.spaces import Architecture
from hytnas_datasets.store.architectures import Architectures, as_architecture
from hytnas_datasets.store.database import Database, Row, decode, unknown_model
from hytnas_datasets.store.devices import Devices, put_context
from hytnas_datasets.store.exports import as_export
from hytnas_datasets.store.records import ExportRecord


class StoredLabel(msgspec.Struct, frozen=True):
    """A latency label with all it belongs to.

    ``architecture`` is ``None`` for a model file without a layer plan, ``context`` where no process got far
    enough to tell.
    """

    architecture: Architecture | None
    export: ExportRecord
    label: LatencyLabel
    purpose: str
    device_id: str
    context: DeviceContext | None


class Labels:
    """Latency labels, one for each model, purpose, device and context."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, label: LatencyLabel, purpose: str, device_id: str, context: DeviceContext | None) -> None:
        """Store the label made of a model's results; it replaces one of the same purpose and context.

        Raises StudyError if the model's export is not stored yet.
        """
        try:
            with self._database.transaction() as connection:
                connection.execute(
                    "INSERT INTO latency_label (model_sha256, purpose, device_id, context_fingerprint, "
                    "outcome, median_ms, run_id, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (model_sha256, purpose, device_id, context_fingerprint) DO UPDATE SET "
                    "outcome = excluded.outcome, median_ms = excluded.median_ms, run_id = excluded.run_id, "
                    "record = excluded.record",
                    (
                        label.model_sha256,
                        purpose,
                        device_id,
                        put_context(connection, context),
                        label.outcome.value,
                        label.median_ms,
                        self._database.run_id,
                        msgspec.msgpack.encode(label),
                    ),
                )
        except sqlite3.IntegrityError as error:
            raise unknown_model(label.model_sha256) from error

    def all(self, purpose: str | None = None) -> list[StoredLabel]:
        """Labels of ``purpose`` (``None``: of all), one for each architecture, in sampled order.

        Two architectures that give the same network share its label and appear both; model files without a
        layer plan follow in the order they were labelled. Labels of every outcome are there;
        one whose numbers cannot be, and was stored all the same, is INTERNAL.
        """
        contexts = Devices(self._database).contexts()
        spaces = Architectures(self._database).known_spaces()

        def make(row: Row) -> StoredLabel:
            context = row["context_fingerprint"]
            label = plausible_label(decode(row["label"], LatencyLabel))
            if context and context not in contexts:
                raise StudyError(f"its context {context} cannot be read")
            if label.model_sha256 != row["sha256"]:
                raise StudyError(f"a label of the model {row['sha256'][:16]} is one of another")
            return StoredLabel(
                architecture=None if row["space"] is None else as_architecture(row, spaces),
                export=as_export(row),
                label=label,
                purpose=row["purpose"],
                device_id=row["device_id"],
                context=contexts.get(context),
            )

        return self._database.read(
            "latency_label",
            "SELECT label.id, label.record AS label, label.purpose, label.device_id, "
            "label.context_fingerprint, export.sha256, export.record, "
            "architecture.space, architecture.choices "
            "FROM latency_label AS label JOIN export ON export.sha256 = label.model_sha256 "
            "LEFT JOIN sample ON sample.plan_hash = export.plan_hash AND sample.purpose = label.purpose "
            "LEFT JOIN architecture ON architecture.id = sample.architecture_id "
            "WHERE :purpose IS NULL OR label.purpose = :purpose "
            "ORDER BY sample.id IS NULL, sample.id, label.id",
            make,
            {"purpose": purpose},
        )
