"""Tables as they are found: CSV of any dialect, plain or with gzip, and Parquet."""

import csv
import gzip
import io
import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hytnas_agent.regular_file import open_regular
from hytnas_datasets.errors import DataSetError
from hytnas_datasets.spaces.variables import Choice

MAX_BYTES: Final = 256 << 20
"""Of a table, unpacked."""
MISSING: Final = frozenset(("", "na", "n/a", "nan", "null", "none", "-", "?"))
"""Cells that say that there is no value, in any case."""
_SEPARATORS: Final = ",;\t|"
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_ENCODINGS: Final = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


@dataclass(frozen=True)
class ForeignTable:
    """A table whose cells are numbers, strings, or ``None`` where there is no value.

    Attributes
    ----------
    columns : dict of str to list
        Cells of each column, from the first row on; a column of numbers holds nothing but numbers.
    dialect : str
        How the file was read, in words.
    """

    columns: dict[str, list[Choice | None]]
    dialect: str

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def read_foreign_table(path: Path, *, header: bool = True) -> ForeignTable:
    """The table of a file.

    Parameters
    ----------
    path : Path
        ``.parquet``, or CSV: separated by commas, semicolons, tabs or bars; with decimal points or commas;
        UTF-8, UTF-16 or, failing these, Latin-1; with or without gzip.
    header : bool
        Whether the first line names the columns; else they are called ``c0``, ``c1`` and so on.

    Raises
    ------
    DataSetError
        The file cannot be read, is too large, or is no table; in one line with what to do.
    """
    try:
        if not path.is_file():
            raise DataSetError(f"{path} is not a file", "Name a CSV or Parquet file")
        if path.suffix.lower() in {".parquet", ".pq"}:
            return _read_parquet(path)
        return _read_csv(path, header=header)
    except OSError as error:
        raise DataSetError(
            f"{path} cannot be read: {error.strerror or error}", "Name another file"
        ) from error


def _read_parquet(path: Path) -> ForeignTable:
    import pyarrow as arrow  # noqa: PLC0415 (slow to import)
    from pyarrow import parquet  # noqa: PLC0415

    try:
        file = parquet.ParquetFile(path)
        if sum(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups)) > MAX_BYTES:
            raise DataSetError(f"{path} unpacks to more than {MAX_BYTES} bytes", "Split it")
        read = file.read()
    except arrow.ArrowException as error:
        raise DataSetError(f"{path} is not a Parquet file: {error}", "Get it again, or give a CSV") from error
    columns = {name: [_plain(cell) for cell in read.column(name).to_pylist()] for name in read.column_names}
    if not columns or not read.num_rows:
        raise DataSetError(f"{path} holds no rows", "Give a table with a row for each candidate")
    return ForeignTable({name: _unified(cells) for name, cells in columns.items()}, "Parquet")


def _plain(cell: Any) -> Choice | None:
    """A cell of Parquet as a number, a string or nothing."""
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return None
    if isinstance(cell, bool):
        return str(cell).lower()
    return cell if isinstance(cell, int | float) else str(cell)


def _read_csv(path: Path, *, header: bool) -> ForeignTable:
    text, encoding = _decode(_unpacked(path))
    separator = _separator(text)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator, strict=True) if any(row)]
    except csv.Error as error:
        raise DataSetError(
            f"{path} is not a table: {error}", "Mend the line, or give another file"
        ) from error
    if len(rows) < (2 if header else 1):
        raise DataSetError(f"{path} holds no rows", "Give a table with a line for each candidate")
    names = [cell.strip() for cell in rows[0]] if header else [f"c{place}" for place in range(len(rows[0]))]
    body = rows[1:] if header else rows
    if names[-1] == "" and all(len(row) < len(names) or not row[-1].strip() for row in body):
        names = names[:-1]  # a separator ends each line
    _check_names(path, names)
    if header and all(_number(name, comma=False) is not None for name in names):
        raise DataSetError(f"the first line of {path} holds numbers, not names", "Say so with --no-header")
    for number, row in enumerate(body, start=2 if header else 1):
        if len(row) < len(names) or any(cell.strip() for cell in row[len(names) :]):
            raise DataSetError(
                f"{path} has {len(row)} cells in row {number}, not {len(names)}",
                "Mend that row, or leave it out",
            )
    cells = [[row[place].strip() for row in body] for place in range(len(names))]
    comma = separator != "," and any(_DECIMAL_COMMA.fullmatch(cell) for column in cells for cell in column)
    columns = {
        name: _unified([_value(cell, comma=comma) for cell in column])
        for name, column in zip(names, cells, strict=True)
    }
    words = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}[separator]
    dialect = f"CSV separated by {words}, {encoding}" + (", decimal commas" if comma else "")
    return ForeignTable(columns, dialect)


def _unpacked(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            packed = file.peek(2).startswith(b"\x1f\x8b")
            content = (gzip.GzipFile(fileobj=file) if packed else file).read(MAX_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataSetError(f"{path} is damaged: {error}", "Get it again") from error
    if len(content) > MAX_BYTES:
        raise DataSetError(f"{path} holds more than {MAX_BYTES} bytes", "Split it")
    return content


def _decode(content: bytes) -> tuple[str, str]:
    encoding = next((name for mark, name in _ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding), encoding
    except UnicodeDecodeError:
        return content.decode("latin-1"), "latin-1"


def _separator(text: str) -> str:
    """The one that is found most often in the first line that is not blank, outside of quotes."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", first)
    return max(_SEPARATORS, key=bare.count)


def _check_names(path: Path, names: list[str]) -> None:
    for place, name in enumerate(names):
        if not name:
            raise DataSetError(f"column {place + 1} of {path} has no name", "Name it, or give --no-header")
        if name in names[:place]:
            raise DataSetError(f"two columns of {path} are called {name!r}", "Rename one of them")


def _number(cell: str, *, comma: bool) -> int | float | None:
    if comma and _DECIMAL_COMMA.fullmatch(cell):
        cell = cell.replace(",", ".")
    if not cell.isascii() or not _NUMBER.fullmatch(cell):
        return None
    value = float(cell)
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _value(cell: str, *, comma: bool) -> Choice | None:
    if cell.lower() in MISSING:
        return None
    number = _number(cell, comma=comma)
    return cell if number is None else number


def _unified(cells: list[Choice | None]) -> list[Choice | None]:
    """Numbers where all values are numbers, else strings."""
    if all(cell is None or isinstance(cell, int | float) for cell in cells):
        return [int(cell) if isinstance(cell, float) and cell.is_integer() else cell for cell in cells]
    return [None if cell is None else str(cell) for cell in cells]
