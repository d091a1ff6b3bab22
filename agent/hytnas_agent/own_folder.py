"""Folders of the toolkit's own, told from those of somebody else.

The toolkit makes its folders for the user alone and leaves a marker in them. A folder without the marker is
somebody else's: its mode stays as it is, and nothing in it is changed or deleted. Where a person names such a
folder, the toolkit makes one of its own inside it.
"""

import os
from pathlib import Path
from typing import Final

MARKER: Final = ".hytnas-own"
_TEXT: Final = b"The HyT-NAS toolkit made this folder. It writes and deletes files here.\n"


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for the user alone (mode 0700). Raises OSError."""
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def is_own(folder: Path) -> bool:
    """Whether the toolkit made the folder, or may make it: nothing is there."""
    return os.path.isfile(folder / MARKER) or not os.path.lexists(folder)


def place_for(folder: Path, name: str) -> Path:
    """Where to keep what a person wants in ``folder``: there, or below ``name`` if it is somebody else's."""
    return folder if is_own(folder) else folder / name


def make_own(folder: Path) -> bool:
    """Make the folder with its marker, in one step; whether it is the toolkit's own. Raises OSError."""
    if not os.path.lexists(folder):
        make_private(folder.parent)
        draft = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}.draft")
        draft.mkdir(mode=0o700)
        try:
            mark(draft)
            draft.rename(folder)
        except OSError:
            unmark(draft)
            draft.rmdir()
            if not os.path.lexists(folder):  # else another process has made it meanwhile
                raise
    return is_own(folder)


def mark(folder: Path) -> None:
    """Make a folder that exists the toolkit's own. Raises OSError."""
    (folder / MARKER).write_bytes(_TEXT)


def unmark(folder: Path) -> None:
    """Leave the folder to whoever else has files in it. Raises OSError."""
    (folder / MARKER).unlink(missing_ok=True)
