"""The SQLite file under a study: opening, migrating, transactions, and errors a person can act on."""

import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import msgspec

from hytnas_agent.errors import HytnasError
from hytnas_datasets.errors import DamagedRowsWarning, SchemaVersionError, StudyError
from hytnas_datasets.store import schema
from hytnas_datasets.store.read_only import connect_to_read, copied, lacks_permission
from hytnas_datasets.store.soundness import find_fault

Row = sqlite3.Row
Value = str | int | float | bytes | None

T = TypeVar("T")

BUSY_TIMEOUT_S = 60.0

_EXPLANATIONS = (
    (
        "disk is full",
        "is on a full disk",
        "Free some space and run the same command again; all that was stored stays",
    ),
    ("readonly database", "cannot be written", "Give yourself write permission on the file and its folder"),
    ("unable to open", "cannot be opened", "Check that its folder exists and that you may write there"),
    ("not a database", "is not a study file", "Name another folder, or move this file away"),
    (
        "malformed",
        "is damaged",
        "Restore it from a copy, or rescue what is readable with: sqlite3 FILE .recover",
    ),
    (
        "locked",
        "is being written by another process",
        "Wait for the other command to end, then run this one again",
    ),
    (
        "disk i/o error",
        "cannot be read or written by its disk",
        "Check the disk and its free space, then run again",
    ),
)


def explain(error: sqlite3.Error, path: Path) -> StudyError:
    """One clear line for what SQLite reports about the file ``path``."""
    text = str(error)
    for fragment, what, next_step in _EXPLANATIONS:
        if fragment in text.lower():
            return StudyError(f"the study file {path} {what} ({text})", next_step)
    return StudyError(f"the study file {path}: {text}")


def decode(stored: bytes | str, kind: type[T]) -> T:
    """What a column holds: a record in MessagePack, or JSON text. Raises StudyError where it is none."""
    try:
        if isinstance(stored, str):
            return checked(msgspec.json.decode(stored, type=kind))
        return checked(msgspec.msgpack.decode(stored, type=kind))
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _unreadable(kind, str(error)) from error
    except HytnasError as error:  # of a record's own checks
        raise _unreadable(kind, error.what) from error


def checked(record: T) -> T:
    """The record, if its numbers can be; raises StudyError."""
    fault = find_fault(record)
    if fault is not None:
        raise _unreadable(type(record), fault)
    return record


def _unreadable(kind: Any, why: str) -> StudyError:
    name = getattr(kind, "__name__", str(kind))
    return StudyError(
        f"a stored {name} cannot be read ({why})", "Read this study with the version that wrote it"
    )


def _as_text(stored: bytes) -> str:
    return stored.decode(errors="replace")


def unknown_model(model_sha256: str) -> StudyError:
    """The refusal to store something of a model that the study does not know."""
    return StudyError(f"the model {model_sha256[:16]} is not in this study", "Store its ExportRecord first")


class Database:
    """One connection in WAL mode with foreign keys, usable from several threads.

    A transaction is durable once it has committed (``synchronous=FULL``: a power cut loses nothing either).

    Parameters
    ----------
    path : Path
        The study file; created with its tables where there is none. One that cannot be written is opened to
        be read, be it as a copy where it is of an older schema.

    Attributes
    ----------
    run_id : int or None
        The command that writes; rows that are added carry it.

    Raises
    ------
    SchemaVersionError
        The file has a newer schema than this version of the toolkit.
    StudyError
        The file is not a study, or cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_id: int | None = None
        self._lock = threading.RLock()
        self._copy: TemporaryDirectory[str] | None = None
        try:
            try:
                self._connection = self._opened(path)
            except sqlite3.OperationalError as error:
                if not (path.is_file() and lacks_permission(error)):
                    raise
                self._connection = self._opened_to_read()
        except sqlite3.Error as error:
            raise explain(error, path) from error

    def _opened(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _opened_to_read(self) -> sqlite3.Connection:
        """The study that cannot be written, be it as a copy; whoever writes into it is told so."""
        connection = connect_to_read(self.path)
        try:
            if connection is not None:
                self._check(connection)
            if connection is None or _version(connection) < len(schema.MIGRATIONS):
                self._copy = copied(self.path)
                connection = self._opened(Path(self._copy.name) / self.path.name)
            _distrust(connection)
            connection.execute("PRAGMA query_only = ON")
        except BaseException:
            if connection is not None:
                connection.close()
            if self._copy is not None:
                self._copy.cleanup()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        _distrust(connection)
        self._check(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        current = len(schema.MIGRATIONS)
        if _version(connection) == current:
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            for version in range(_version(connection), current):
                for step in schema.MIGRATIONS[version]:
                    if isinstance(step, str):
                        connection.execute(step)
                    else:
                        step(connection)
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {current}")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _check(self, connection: sqlite3.Connection) -> None:
        application_id = int(connection.execute("PRAGMA application_id").fetchone()[0])
        version, current = _version(connection), len(schema.MIGRATIONS)
        if application_id != schema.APPLICATION_ID:
            objects = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if objects or application_id or version:
                raise StudyError(
                    f"{self.path} is a database, but not a study",
                    "Name another folder, or move this file away",
                )
        elif version > current:
            raise SchemaVersionError(
                f"the study file {self.path} has schema version {version}, this hytnas reads up to {current}",
                "Upgrade hytnas, or start a new study in another folder",
            )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all or nothing; durable once left without an exception."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.IntegrityError:
                raise
            except sqlite3.Error as error:
                raise explain(error, self.path) from error

    def query(self, sql: str, parameters: Sequence[Value] | Mapping[str, Value] = ()) -> list[Row]:
        """All rows of a reading statement."""
        with self._lock:
            try:
                return self._connection.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise explain(error, self.path) from error

    def read(
        self,
        table: str,
        sql: str,
        make: Callable[[Row], T],
        parameters: Sequence[Value] | Mapping[str, Value] = (),
    ) -> list[T]:
        """What ``make`` makes of each row of a reading statement, the first column of which numbers
        rows of ``table``.

        Rows that it cannot read (it raises a HytnasError) are left out, so that the rest of a damaged study
        stays of use; a DamagedRowsWarning says which they are.
        """
        found: list[T] = []
        damaged: list[str] = []
        for row in self.query(sql, parameters):
            try:
                found.append(make(row))
            except HytnasError as error:
                damaged.append(f"row {row[0]}: {error.args[0]}")
        if damaged:
            rows = "1 row" if len(damaged) == 1 else f"{len(damaged)} rows"
            warnings.warn(
                f"{rows} of the table {table} in {self.path} cannot be read and are left out ({damaged[0]}). "
                "Restore the study from a copy, or go on with what is left",
                DamagedRowsWarning,
                stacklevel=1,
            )
        return found

    def close(self) -> None:
        """Close the file; SQLite then folds the write-ahead log into it."""
        with self._lock:
            self._connection.close()
            if self._copy is not None:
                self._copy.cleanup()


def _distrust(connection: sqlite3.Connection) -> None:
    """Read rows by name, and run nothing that the file itself brings."""
    connection.row_factory = sqlite3.Row
    connection.text_factory = _as_text
    connection.execute("PRAGMA trusted_schema = OFF")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
