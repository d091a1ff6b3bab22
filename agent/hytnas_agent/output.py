"""Standard streams that never fail: what is printed after the work must not cost its result."""

import errno
import io
import os
import sys
from typing import Any

_NOBODY_READS = (errno.EPIPE, errno.EIO, errno.EBADF)
"""A pipe whose reader has ended, a terminal that is gone, a stream that was closed."""


class _LastingFile(io.FileIO):
    """A descriptor that takes what nobody reads any more; a full disk is an error still."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _NOBODY_READS:
                raise
            return memoryview(data).nbytes


def make_output_last() -> None:
    """Let printing go on where a reader has left, a stream is closed, or a character cannot be shown.

    Standard streams that the process was started without are those of the null device, so that no other file
    takes their number. What the encoding of a terminal lacks is printed as ``?``. Streams that somebody has
    put in the place of the standard ones stay.
    """
    _fill_closed()
    sys.stdin = sys.stdin or open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    if sys.stdout is sys.__stdout__:
        sys.stdout = _lasting(sys.stdout, 1)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _lasting(sys.stderr, 2)


def _fill_closed() -> None:
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _lasting(stream: io.TextIOWrapper | Any, descriptor: int) -> io.TextIOWrapper:
    if stream is not None:
        stream.flush()
    raw = _LastingFile(descriptor, "w", closefd=False)
    at_once = stream is not None and (stream.line_buffering or stream.write_through)  # python -u
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding if stream is not None else "utf-8",
        errors="replace",
        line_buffering=descriptor == 2 or at_once or raw.isatty(),
    )
