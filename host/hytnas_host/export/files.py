"""Files named by their content, that exist whole or not at all."""

import errno
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hytnas_agent.whole_file import write_whole
from hytnas_host.export.errors import NoRoomError


def sha256_of(content: bytes) -> str:
    """64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def npz_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An uncompressed ``.npz``; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def write_named_by_hash(content: bytes, folder: Path, suffix: str) -> Path:
    """Write ``<sha256><suffix>`` in ``folder`` by renaming a finished temporary file; return its path.

    A file of that name and content is there already; one that was changed is replaced.

    Raises
    ------
    NoRoomError
        The folder cannot be written or the disk is full, which is no fault of the content.
    """
    path = folder / f"{sha256_of(content)}{suffix}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
            return path
        write_whole(path, content)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise NoRoomError(
            f"{path} cannot be written: {error.strerror or error}",
            f"Free {len(content)} bytes and run the command again" if full else "Check the folder",
        ) from error
    return path
