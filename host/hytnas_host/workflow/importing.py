"""Tables from elsewhere as data sets in files."""

import re
from dataclasses import dataclass
from pathlib import Path

from hytnas_agent.regular_file import file_hash
from hytnas_datasets.errors import DataSetError
from hytnas_datasets.importing import (
    Imported,
    TableColumns,
    import_released,
    import_table,
    read_foreign_table,
)
from hytnas_datasets.portable import DataSheet, write_set
from hytnas_datasets.spaces import list_spaces
from hytnas_datasets.spaces.released import read_released_file


@dataclass(frozen=True)
class ImportChoice:
    """How a table is to be read.

    Attributes
    ----------
    columns : TableColumns
    header : bool
        Whether the first line names the columns.
    released : bool
        A file published beside the HyT-NAS paper, recognised by its name.
    device : str or None
        What measured, in words.
    summary, licence : str
        For the data sheet.
    """

    columns: TableColumns
    header: bool = True
    released: bool = False
    device: str | None = None
    summary: str = ""
    licence: str = "unspecified"


def import_file(file: Path, folder: Path, choice: ImportChoice) -> tuple[DataSheet, tuple[str, ...]]:
    """Write a data set into ``folder`` from a table; its data sheet, and what is odd about the table.

    Raises
    ------
    DataSetError
        The table cannot be used, or the folder cannot be written to.
    SpaceError
        A published file is not one that is known.
    """
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", folder.resolve().name)
    imported = _import(file, name, choice)
    provenance = {
        "file": file.name,
        "sha256": file_hash(file),
        "notes": list(imported.notes),
    }
    written = write_set(
        imported.labelled,
        folder,
        name=name,
        summary=choice.summary or f"{imported.labelled.target.words} imported from {file.name}",
        licence=choice.licence,
        provenance=provenance | ({"device": choice.device} if choice.device else {}),
    )
    return written, imported.notes


def _import(file: Path, name: str, choice: ImportChoice) -> Imported:
    if choice.released:
        return import_released(read_released_file(file))
    if name in list_spaces():
        raise DataSetError(f"a space called {name!r} comes with the toolkit", "Give --out another name")
    table = read_foreign_table(file, header=choice.header)
    imported = import_table(table, choice.columns, name=name, source=file.name)
    return Imported(imported.labelled, (f"read as {table.dialect}, {len(table)} rows", *imported.notes))
