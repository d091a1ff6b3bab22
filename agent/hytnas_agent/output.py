"""Standard streams that never fail: what is printed after the work must not cost its result."""

import errno
import io
import os
import sys
from typing import Any

_NOBODY_READS = (errno.EPIPE, errno.EIO, errno.EBADF)
"""A pipe whose reader has ended, a terminal that is gone, a stream that was closed."""


def plain(text: str, kept: str = "") -> str:
    """Text from elsewhere in one line: what a terminal would obey is blank, but for ``kept``."""
    return "".join(c if c.isprintable() or c in kept else " " for c in text)


class _PlainText(io.TextIOWrapper):
    """A stream of lines whose terminal obeys nothing that is in them; a carriage return may begin one."""

    def write(self, text: str, /) -> int:
        begun = text[:1] if text.startswith("\r") else ""
        super().write(begun + plain(text[len(begun) :], kept="\n"))
        return len(text)


class _LastingFile(io.FileIO):
    """A descriptor that takes what nobody reads any more; a full disk is an error still."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _NOBODY_READS:
                raise
            return memoryview(data).nbytes


def make_output_last(*, lines_only: bool = False) -> None:
    """Let printing go on where a reader has left, a stream is closed, or a character cannot be shown.

    Standard streams that the process was started without are those of the null device, so that no other file
    takes their number. What the encoding of a terminal lacks is printed as ``?``. Streams that somebody has
    put in the place of the standard ones stay. With ``lines_only`` nothing that is printed can move a cursor,
    change a colour or the like: it may come from a file's name, a model or another user.
    """
    _fill_closed()
    sys.stdin = sys.stdin or open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    if sys.stdout is sys.__stdout__:
        sys.stdout = _lasting(sys.stdout, 1, lines_only)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _lasting(sys.stderr, 2, lines_only)


def _fill_closed() -> None:
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _lasting(stream: io.TextIOWrapper | Any, descriptor: int, lines_only: bool) -> io.TextIOWrapper:
    if stream is not None:
        stream.flush()
    raw = _LastingFile(descriptor, "w", closefd=False)
    at_once = stream is not None and (stream.line_buffering or stream.write_through)  # python -u
    return (_PlainText if lines_only else io.TextIOWrapper)(
        io.BufferedWriter(raw),
        encoding=stream.encoding if stream is not None else "utf-8",
        errors="replace",
        line_buffering=descriptor == 2 or at_once or raw.isatty(),
    )
