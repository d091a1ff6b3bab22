"""Model files, devices, what fresh processes measured, and the labels made of that."""

import sqlite3
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from hytnas_agent.protocol import DeviceDescription
from hytnas_agent.records import DeviceContext, LatencyLabel, ProcessResult
from hytnas_datasets.errors import StudyError
from hytnas_datasets.spaces import Architecture
from hytnas_datasets.store.database import Database
from hytnas_datasets.store.records import DiscardRecord, ExportRecord, FailureRecord
from hytnas_datasets.store.sampled import as_architecture

T = TypeVar("T")


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


class StoredResult(msgspec.Struct, frozen=True):
    """What one process measured, of which model and for what."""

    model_sha256: str
    purpose: str
    replicate: int
    result: ProcessResult


def _decode(blob: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(blob, type=kind)
    except msgspec.MsgspecError as error:
        raise StudyError(
            f"a stored {kind.__name__} cannot be read ({error})",
            "Read this study with the version that wrote it",
        ) from error


def add_export(database: Database, record: ExportRecord, run_id: int | None) -> None:
    """Store a model file; the same file again replaces its record.

    Only that of a network is kept where the same file comes again as one of unknown origin.
    """
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO export (sha256, plan_hash, resolution, classes, format, precision, converter, "
            "run_id, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET "
            "plan_hash = excluded.plan_hash, resolution = excluded.resolution, classes = excluded.classes, "
            "precision = excluded.precision, converter = excluded.converter, record = excluded.record "
            "WHERE excluded.plan_hash IS NOT NULL OR export.plan_hash IS NULL",
            (
                record.sha256,
                record.plan_hash,
                record.resolution,
                record.classes,
                record.format,
                record.precision,
                record.converter,
                run_id,
                msgspec.msgpack.encode(record),
            ),
        )


def export_for(
    database: Database,
    *,
    plan_hash: str,
    resolution: int,
    classes: int,
    model_format: str,
    precision: str,
    converter: str,
) -> ExportRecord | None:
    """The newest model file of a network for a task, if there is one."""
    rows = database.query(
        "SELECT record FROM export WHERE plan_hash = ? AND resolution = ? AND classes = ? AND format = ? "
        "AND precision = ? AND converter = ? ORDER BY id DESC LIMIT 1",
        (plan_hash, resolution, classes, model_format, precision, converter),
    )
    return _decode(rows[0]["record"], ExportRecord) if rows else None


def exports(database: Database) -> list[ExportRecord]:
    """Every model file of the study, in the order they were stored."""
    return [
        _decode(row["record"], ExportRecord)
        for row in database.query("SELECT record FROM export ORDER BY id")
    ]


def _put_context(connection: sqlite3.Connection, context: DeviceContext | None) -> str:
    if context is None:
        return ""
    fingerprint = context.fingerprint()
    connection.execute(
        "INSERT INTO context (fingerprint, record) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (fingerprint, msgspec.msgpack.encode(context)),
    )
    return fingerprint


def add_device(database: Database, description: DeviceDescription, at_unix_s: float, name: str) -> None:
    """Store what a device says about itself; kept once for each context it was seen in, the latest wins."""
    with database.transaction() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO device (device_id, context_fingerprint, seen_unix_s, record, name) "
            "VALUES (?, ?, ?, ?, ?)",
            (
                description.identity.device_id,
                _put_context(connection, description.context),
                at_unix_s,
                msgspec.msgpack.encode(description),
                name,
            ),
        )


def device_names(database: Database) -> dict[str, str]:
    """What the person calls each device, by device id; the latest name, none where it was never said."""
    rows = database.query("SELECT device_id, name FROM device WHERE name != '' ORDER BY seen_unix_s")
    return {row["device_id"]: row["name"] for row in rows}


def devices(database: Database) -> list[DeviceDescription]:
    """Every device and context seen, oldest first."""
    rows = database.query("SELECT record FROM device ORDER BY seen_unix_s")
    return [_decode(row["record"], DeviceDescription) for row in rows]


def contexts(database: Database) -> dict[str, DeviceContext]:
    """Every context of the study by its fingerprint."""
    rows = database.query("SELECT fingerprint, record FROM context")
    return {row["fingerprint"]: _decode(row["record"], DeviceContext) for row in rows}


def add_result(
    database: Database,
    result: ProcessResult,
    *,
    model_sha256: str,
    purpose: str,
    replicate: int,
    run_id: int | None,
) -> None:
    """Store what one process measured; a job that is there already is left as it is."""
    try:
        with database.transaction() as connection:
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
                    _put_context(connection, result.context) or None,
                    result.started_unix_s,
                    result.median_ms,
                    run_id,
                    msgspec.msgpack.encode(result),
                    "" if result.verdict is None else result.verdict.status,
                ),
            )
    except sqlite3.IntegrityError as error:
        raise _unknown_model(model_sha256) from error


def _unknown_model(model_sha256: str) -> StudyError:
    return StudyError(f"the model {model_sha256[:16]} is not in this study", "Store its ExportRecord first")


def results(
    database: Database, model_sha256: str | None = None, purpose: str | None = None
) -> list[StoredResult]:
    """The jobs of a model and purpose (``None``: of all), as they were stored.

    Not by ``started_unix_s``: the clock of a board may jump.
    """
    rows = database.query(
        "SELECT model_sha256, purpose, replicate, record FROM result "
        "WHERE (:model IS NULL OR model_sha256 = :model) AND (:purpose IS NULL OR purpose = :purpose) "
        "ORDER BY rowid",
        {"model": model_sha256, "purpose": purpose},
    )
    return [
        StoredResult(
            row["model_sha256"], row["purpose"], row["replicate"], _decode(row["record"], ProcessResult)
        )
        for row in rows
    ]


def discard(database: Database, job_ids: Iterable[str], reason: str, at_unix_s: float) -> None:
    """Say of stored results that they are to stand in no label, and why; they are kept all the same."""
    with database.transaction() as connection:
        connection.executemany(
            "INSERT INTO discarded (job_id, reason, at_unix_s) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            [(job_id, reason, at_unix_s) for job_id in job_ids],
        )


def discards(database: Database) -> list[DiscardRecord]:
    """Every discarded result, in the order they were; those discarded at once have the same time."""
    rows = database.query("SELECT job_id, reason, at_unix_s FROM discarded ORDER BY rowid")
    return [DiscardRecord(*row) for row in rows]


def discarded(database: Database) -> dict[str, str]:
    """Why each discarded result was, by job id, in the order they were."""
    return {record.job_id: record.reason for record in discards(database)}


def failures(database: Database, stage: str | None = None) -> list[FailureRecord]:
    """What did not work outside a measurement (in ``stage``), oldest first."""
    rows = database.query(
        "SELECT stage, subject, message, at_unix_s, run_id FROM failure "
        "WHERE :stage IS NULL OR stage = :stage ORDER BY id",
        {"stage": stage},
    )
    return [FailureRecord(*row) for row in rows]


def standing(database: Database, purpose: str | None = None) -> list[StoredResult]:
    """The jobs of a purpose (``None``: of all) that are not discarded, as they were stored."""
    left_out = discarded(database)
    return [stored for stored in results(database, purpose=purpose) if stored.result.job_id not in left_out]


def add_label(
    database: Database,
    label: LatencyLabel,
    *,
    purpose: str,
    device_id: str,
    context: DeviceContext | None,
    run_id: int | None,
) -> None:
    """Store the label of a model on a device; it replaces one of the same model, purpose and context."""
    try:
        with database.transaction() as connection:
            connection.execute(
                "INSERT INTO latency_label (model_sha256, purpose, device_id, context_fingerprint, outcome, "
                "median_ms, run_id, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (model_sha256, purpose, device_id, context_fingerprint) DO UPDATE SET "
                "outcome = excluded.outcome, median_ms = excluded.median_ms, run_id = excluded.run_id, "
                "record = excluded.record",
                (
                    label.model_sha256,
                    purpose,
                    device_id,
                    _put_context(connection, context),
                    label.outcome.value,
                    label.median_ms,
                    run_id,
                    msgspec.msgpack.encode(label),
                ),
            )
    except sqlite3.IntegrityError as error:
        raise _unknown_model(label.model_sha256) from error


def labels(database: Database, purpose: str | None) -> list[StoredLabel]:
    """Labels of ``purpose`` (``None``: of all), one for each architecture, in sampled order.

    Two architectures that give the same network share its label and appear both; model files without a layer
    plan follow in the order they were labelled.
    """
    known = contexts(database)
    rows = database.query(
        "SELECT label.record AS label, label.purpose, label.device_id, label.context_fingerprint, "
        "export.record AS export, architecture.space, architecture.choices "
        "FROM latency_label AS label JOIN export ON export.sha256 = label.model_sha256 "
        "LEFT JOIN sample ON sample.plan_hash = export.plan_hash AND sample.purpose = label.purpose "
        "LEFT JOIN architecture ON architecture.id = sample.architecture_id "
        "WHERE :purpose IS NULL OR label.purpose = :purpose ORDER BY sample.id IS NULL, sample.id, label.id",
        {"purpose": purpose},
    )
    return [
        StoredLabel(
            architecture=None if row["space"] is None else as_architecture(row),
            export=_decode(row["export"], ExportRecord),
            label=_decode(row["label"], LatencyLabel),
            purpose=row["purpose"],
            device_id=row["device_id"],
            context=known.get(row["context_fingerprint"]),
        )
        for row in rows
    ]
