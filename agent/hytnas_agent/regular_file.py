"""Files from elsewhere are opened only if they are regular: a pipe could keep a reader waiting for ever."""

import errno
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: Path) -> BufferedReader:
    """Open a file to read its bytes, without ever waiting for a writer.

    Raises
    ------
    OSError
        It cannot be read, or is no regular file.
    """
    return os.fdopen(_regular(path, os.O_RDONLY, 0), "rb")


def file_hash(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits; raises OSError as `open_regular` does."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def open_own(path: Path, flags: int = os.O_RDWR | os.O_CREAT, mode: int = 0o600) -> int:
    """A descriptor of a file that the toolkit keeps for itself; a link in its place is not followed.

    Parameters
    ----------
    path : Path
    flags, mode : int
        As of open(2).

    Raises
    ------
    OSError
        It cannot be opened, is a link, or is no regular file.
    """
    try:
        return _regular(path, flags | os.O_NOFOLLOW, mode)
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise OSError(errno.ELOOP, "it is a link", str(path)) from error
        if error.errno == errno.ENXIO:  # a pipe that nobody reads, or a socket
            raise _not_regular(path) from error
        raise


def _regular(path: Path, flags: int, mode: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, mode)
    try:
        found = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(found):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found):
            raise _not_regular(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _not_regular(path: Path) -> OSError:
    return OSError(errno.EINVAL, "it is no regular file", str(path))
