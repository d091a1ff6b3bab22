"""The devices of a study, and the contexts that what they measured depends on."""

import sqlite3
import time

import msgspec

from hytnas_agent.protocol import DeviceDescription
from hytnas_agent.records import DeviceContext
from hytnas_datasets.store.database import Database, decode


def put_context(connection: sqlite3.Connection, context: DeviceContext | None) -> str:
    """Store a context where it is new; its fingerprint, empty for ``None``."""
    if context is None:
        return ""
    fingerprint = context.fingerprint()
    connection.execute(
        "INSERT INTO context (fingerprint, record) VALUES (?, ?) "
        "ON CONFLICT DO UPDATE SET record = excluded.record WHERE record != excluded.record",
        (fingerprint, msgspec.msgpack.encode(context)),
    )
    return fingerprint


class Devices:
    """What devices said about themselves, and what the person calls them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, description: DeviceDescription, *, name: str = "") -> None:
        """Store what a device says about itself and is called; the latest for each context is kept."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO device (device_id, context_fingerprint, seen_unix_s, record, name) "
                "VALUES (?, ?, ?, ?, ?)",
                (
                    description.identity.device_id,
                    put_context(connection, description.context),
                    time.time(),
                    msgspec.msgpack.encode(description),
                    name,
                ),
            )

    def all(self) -> list[DeviceDescription]:
        """Every device and context seen, oldest first."""
        return self._database.read(
            "device",
            "SELECT rowid, record FROM device ORDER BY seen_unix_s",
            lambda row: decode(row["record"], DeviceDescription),
        )

    def names(self) -> dict[str, str]:
        """What the person calls each device, by device id; the latest name, none where it was never said."""
        rows = self._database.query(
            "SELECT device_id, name FROM device WHERE name != '' ORDER BY seen_unix_s"
        )
        return {row["device_id"]: row["name"] for row in rows}

    def contexts(self) -> dict[str, DeviceContext]:
        """Every context of the study by its fingerprint."""
        found = self._database.read(
            "context",
            "SELECT rowid, fingerprint, record FROM context",
            lambda row: (row["fingerprint"], decode(row["record"], DeviceContext)),
        )
        return dict(found)
