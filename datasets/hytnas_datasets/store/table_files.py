"""Tables of a study as files: CSV for everybody, Parquet with types for programs."""

import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import pandas as pd

from hytnas_agent.whole_file import replacing
from hytnas_datasets.sharing import cell

TableFormat = Literal["csv", "parquet"]
Rows = Iterable[dict[str, Any]]
_CHUNK: Final = 20_000


def write_table(folder: Path, name: str, rows: Rows, table_format: TableFormat = "csv") -> Path:
    """Write rows to ``<name>.<table_format>``, which replaces an older file in one step, and give its path.

    All rows have the columns of the first. In CSV a value is written as Python writes it, and what is not
    known is empty; rows are taken a chunk at a time, however many there are. In Parquet a column is of whole
    numbers, numbers, truth values or text, and what is not known is null. Raises OSError.
    """
    path = folder / f"{name}.{table_format}"
    if table_format == "csv":
        write_csv(path, rows)
    else:
        with replacing(path) as content:
            _typed(list(rows)).to_parquet(content, engine="pyarrow", index=False)
    return path


def write_csv(path: Path, rows: Rows) -> None:
    """Write rows as CSV to ``path``, as `write_table` does, each text a `cell`. Raises OSError."""
    with replacing(path) as content:
        text = io.TextIOWrapper(content, "utf-8", newline="")
        for number, chunk in enumerate(_chunks(rows)):
            # Of objects: pandas would make 3.0 of the 3 of a column in which a value is missing.
            cells = [{cell(name): cell(value) for name, value in row.items()} for row in chunk]
            frame = pd.DataFrame(cells, columns=list(cells[0]), dtype=object)
            frame.to_csv(text, index=False, header=number == 0, lineterminator="\n")
        text.detach()


def _chunks(rows: Rows) -> Iterator[list[dict[str, Any]]]:
    left = iter(rows)
    while chunk := list(islice(left, _CHUNK)):
        yield chunk


def _typed(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    names = list(rows[0]) if rows else []
    return pd.DataFrame({name: _column([row[name] for row in rows]) for name in names})


def _column(values: Sequence[Any]) -> "pd.Series[Any]":
    """One column of the narrowest type that holds its values; an empty text among numbers is missing."""
    kinds = {type(value) for value in values if value not in (None, "")}
    if not kinds or not kinds <= {bool, int, float} or (bool in kinds and len(kinds) > 1):
        return pd.Series([None if value is None else str(value) for value in values], dtype="string")
    known = [None if value == "" else value for value in values]
    if kinds == {bool}:
        return pd.Series(known, dtype="boolean")
    return pd.Series(known, dtype="Float64" if float in kinds else "Int64")
