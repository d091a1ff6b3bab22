"""Study files that can be read and not written: on a read-only disk, or in a folder of somebody else.

A write-ahead log needs a file beside the study even to read it, so SQLite refuses there. Two ways lead around
it: a file without a log, to which nothing is added, is read as it is; else a copy is read. See
https://www.sqlite.org/wal.html#read_only_databases.
"""

import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

from hytnas_datasets.errors import StudyError


def lacks_permission(error: sqlite3.Error) -> bool:
    """Whether SQLite could not open a file for writing, or not make the files that it needs beside it."""
    return any(words in str(error) for words in ("readonly database", "unable to open"))


def connect_to_read(path: Path) -> sqlite3.Connection | None:
    """The file opened in its place, never to be written; None where only a copy can be read.

    Raises sqlite3.Error where it cannot be read either.
    """
    log = _log_of(path)
    modes = ("mode=ro",) if log.exists() and log.stat().st_size else ("mode=ro", "mode=ro&immutable=1")
    for mode in modes:
        uri = f"{path.absolute().as_uri()}?{mode}"
        try:
            return _read(uri)
        except sqlite3.OperationalError as error:
            if not lacks_permission(error):
                raise
    return None


def _read(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def copied(path: Path) -> TemporaryDirectory[str]:
    """A folder that can be written, with a copy of the file and of its log, each under its name.

    Raises StudyError where there is no room for it, or it cannot be read.
    """
    folder: TemporaryDirectory[str] = TemporaryDirectory(prefix="hytnas-study-")
    try:
        for file in (path, _log_of(path)):
            if file.exists():
                shutil.copyfile(file, Path(folder.name) / file.name)
    except OSError as error:
        folder.cleanup()
        raise StudyError(
            f"{path} cannot be written, nor copied to be read ({error.strerror})",
            "Copy the study to a folder of yours",
        ) from error
    return folder


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")
