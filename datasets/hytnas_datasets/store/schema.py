"""The tables of a study file and the migrations that lead to them, oldest first.

Columns are what queries need; ``record`` is the whole typed value in MessagePack, so that nothing a device
reported is lost. MessagePack rather than JSON because raw samples take 9 bytes each and every float64 comes
back bit for bit, infinities included (JSON has none). Configuration, environment, recipes and definitions of
spaces, which a person may want to read with ``sqlite3``, are JSON text.
"""

import sqlite3
from collections.abc import Callable
from typing import Final

from hytnas_datasets.store.label_jobs import name_jobs
from hytnas_datasets.store.record_tasks import carry_tasks

APPLICATION_ID: Final = 0x48795453
"""Marks an SQLite file as a study ("HyTS"), see https://www.sqlite.org/pragma.html#pragma_application_id."""

_VERSION_1: Final = (
    """CREATE TABLE run (
        id INTEGER PRIMARY KEY,
        command TEXT NOT NULL,
        config TEXT NOT NULL,
        environment TEXT NOT NULL,
        status TEXT NOT NULL,
        started_unix_s REAL NOT NULL,
        ended_unix_s REAL
    ) STRICT""",
    """CREATE TABLE space (
        name TEXT PRIMARY KEY,
        hash TEXT NOT NULL,
        variables TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE architecture (
        id INTEGER PRIMARY KEY,
        space TEXT NOT NULL REFERENCES space(name),
        choices TEXT NOT NULL,
        UNIQUE (space, choices)
    ) STRICT""",
    """CREATE TABLE sample (
        id INTEGER PRIMARY KEY,
        purpose TEXT NOT NULL,
        architecture_id INTEGER NOT NULL REFERENCES architecture(id),
        plan_hash TEXT NOT NULL,
        run_id INTEGER REFERENCES run(id),
        UNIQUE (purpose, architecture_id, plan_hash)
    ) STRICT""",
    "CREATE INDEX sample_plan ON sample(plan_hash)",
    """CREATE TABLE export (
        id INTEGER PRIMARY KEY,
        sha256 TEXT NOT NULL UNIQUE,
        plan_hash TEXT,
        resolution INTEGER,
        classes INTEGER,
        format TEXT NOT NULL,
        precision TEXT NOT NULL,
        run_id INTEGER REFERENCES run(id),
        record BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX export_plan ON export(plan_hash, resolution, classes, format)",
    """CREATE TABLE context (
        fingerprint TEXT PRIMARY KEY,
        record BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE device (
        device_id TEXT NOT NULL,
        context_fingerprint TEXT NOT NULL REFERENCES context(fingerprint),
        seen_unix_s REAL NOT NULL,
        record BLOB NOT NULL,
        PRIMARY KEY (device_id, context_fingerprint)
    ) STRICT""",
    """CREATE TABLE result (
        job_id TEXT PRIMARY KEY,
        model_sha256 TEXT NOT NULL REFERENCES export(sha256),
        purpose TEXT NOT NULL,
        replicate INTEGER NOT NULL,
        measure_pass TEXT NOT NULL,
        outcome TEXT NOT NULL,
        device_id TEXT NOT NULL,
        context_fingerprint TEXT REFERENCES context(fingerprint),
        started_unix_s REAL NOT NULL,
        median_ms REAL,
        run_id INTEGER REFERENCES run(id),
        record BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX result_model ON result(model_sha256, purpose, replicate)",
    "CREATE INDEX result_purpose ON result(purpose, started_unix_s)",
    """CREATE TABLE latency_label (
        id INTEGER PRIMARY KEY,
        model_sha256 TEXT NOT NULL REFERENCES export(sha256),
        purpose TEXT NOT NULL,
        device_id TEXT NOT NULL,
        context_fingerprint TEXT NOT NULL DEFAULT '',
        outcome TEXT NOT NULL,
        median_ms REAL,
        run_id INTEGER REFERENCES run(id),
        record BLOB NOT NULL,
        UNIQUE (model_sha256, purpose, device_id, context_fingerprint)
    ) STRICT""",
    """CREATE TABLE accuracy (
        id INTEGER PRIMARY KEY,
        architecture_id INTEGER NOT NULL REFERENCES architecture(id),
        plan_hash TEXT NOT NULL,
        seed INTEGER NOT NULL,
        recipe_fingerprint TEXT NOT NULL,
        data_fingerprint TEXT NOT NULL,
        accuracy REAL,
        run_id INTEGER REFERENCES run(id),
        record BLOB NOT NULL,
        UNIQUE (plan_hash, seed, recipe_fingerprint, data_fingerprint)
    ) STRICT""",
    """CREATE TABLE failure (
        id INTEGER PRIMARY KEY,
        stage TEXT NOT NULL,
        subject TEXT NOT NULL,
        message TEXT NOT NULL,
        at_unix_s REAL NOT NULL,
        run_id INTEGER REFERENCES run(id)
    ) STRICT""",
)

# What the person calls a device, beside what it says of itself.
_VERSION_2: Final = ("ALTER TABLE device ADD COLUMN name TEXT NOT NULL DEFAULT ''",)

# Which converter made a file; until then there was one.
_VERSION_3: Final = (
    "ALTER TABLE export ADD COLUMN converter TEXT NOT NULL DEFAULT ''",
    "UPDATE export SET converter = 'torch.onnx (tracing)' WHERE plan_hash IS NOT NULL",
)

# Up to which difference of their canaries a person let boards of a context share a set.
_VERSION_4: Final = (
    """CREATE TABLE board_tolerance (
        context_fingerprint TEXT PRIMARY KEY,
        tolerance REAL NOT NULL
    ) STRICT""",
)

# What went well but stands in no label, because the canary showed that the board had changed speed.
_VERSION_5: Final = (
    """CREATE TABLE discarded (
        job_id TEXT PRIMARY KEY REFERENCES result(job_id),
        reason TEXT NOT NULL,
        at_unix_s REAL NOT NULL
    ) STRICT""",
)

# Whether the device's health lets a process stand in a label; empty where it was not judged.
_VERSION_6: Final = ("ALTER TABLE result ADD COLUMN verdict TEXT NOT NULL DEFAULT ''",)

# A label names the jobs that it is made of.
_VERSION_7: Final = (name_jobs,)

# Records carry their task whole.
_VERSION_8: Final = (
    carry_tasks,
    "DROP INDEX export_plan",
    "ALTER TABLE export DROP COLUMN resolution",
    "ALTER TABLE export DROP COLUMN classes",
    "CREATE INDEX export_plan ON export(plan_hash, format)",
)

Step = str | Callable[[sqlite3.Connection], None]
"""A statement, or what statements cannot do."""

MIGRATIONS: Final[tuple[tuple[Step, ...], ...]] = (
    _VERSION_1,
    _VERSION_2,
    _VERSION_3,
    _VERSION_4,
    _VERSION_5,
    _VERSION_6,
    _VERSION_7,
    _VERSION_8,
)
"""Steps that lead from schema version ``i`` to ``i + 1``; their count is the current version."""
