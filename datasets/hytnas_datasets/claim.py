"""Tables in a folder belong to its data sheet: what the sheet does not name is somebody else's, and stays."""

import errno
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import msgspec

from hytnas_agent.regular_file import open_regular
from hytnas_agent.whole_file import write_whole

MAX_SHEET_BYTES: Final = 64 << 20


class _Sheet(msgspec.Struct):
    files: dict[str, Any]


def claim(folder: Path, names: Collection[str], sheet: str) -> None:
    """Make sure that files of these names may be written, before any is.

    A file that is there has to be one that the data sheet names, in this format or another. The sheet names
    all of them from then on, so that writing that is broken off can be done again.

    Parameters
    ----------
    folder : Path
        In which to write; it exists.
    names : collection of str
        Of the files to be written, apart from the sheet.
    sheet : str
        Name of the data sheet, which is written last.

    Raises
    ------
    OSError
        Something there is somebody else's, as ``strerror`` says; or the sheet cannot be read or written.
    """
    known = _named(folder / sheet)
    stems = {Path(name).stem for name in known}
    for name in sorted(names):
        if (folder / name).exists() and Path(name).stem not in stems:
            raise FileExistsError(errno.EEXIST, f"the {name} in it is not the toolkit's: no {sheet} names it")
    if not known.keys() >= set(names):
        write_whole(folder / sheet, msgspec.json.encode(_Sheet({**dict.fromkeys(names), **known})))


def _named(sheet: Path) -> dict[str, Any]:
    """What the data sheet says of its files; nothing where there is none yet."""
    try:
        with open_regular(sheet) as file:
            return msgspec.json.decode(file.read(MAX_SHEET_BYTES), type=_Sheet).files
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise FileExistsError(errno.EEXIST, f"the {sheet.name} in it is not the toolkit's") from error
