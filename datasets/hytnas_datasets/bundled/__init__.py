"""Data sets that come with the package: repeatable labels for predictors and tutorials, without a board."""

from pathlib import Path
from typing import Final

from hytnas_datasets.errors import DataSetError
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.portable import DATA_SHEET, DataSheet, read_set, read_sheet

PREFIX: Final = "bundled:"
_FOLDER: Final = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The bundled data sets."""
    return tuple(sorted(path.parent.name for path in _FOLDER.glob(f"*/{DATA_SHEET}")))


def sheet(name: str) -> DataSheet:
    """The data sheet of a bundled data set; raises DataSetError."""
    return read_sheet(_folder_of(name))


def load(name: str) -> LabelledSet:
    """The labels of a bundled data set; raises DataSetError."""
    return read_set(_folder_of(name))


def set_folder(reference: str) -> Path:
    """The folder of a data set: ``bundled:NAME``, or a path. Raises DataSetError for an unknown name.

    Examples
    --------
    >>> set_folder("bundled:hyt-icount-a53").name
    'hyt-icount-a53'
    """
    if reference.startswith(PREFIX):
        return _folder_of(reference.removeprefix(PREFIX))
    return Path(reference)


def _folder_of(name: str) -> Path:
    if name not in names():
        raise DataSetError(f"no data set {name!r} is bundled", f"Bundled are: {', '.join(names()) or 'none'}")
    return _FOLDER / name
