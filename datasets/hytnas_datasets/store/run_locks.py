"""Which runs of a study go on: each holds one byte of a file beside the study, and the kernel lets it go."""

import contextlib
import fcntl
import os
import struct
from pathlib import Path

_FLOCK = struct.Struct("hhqqi4x")
"""``struct flock`` of fcntl(2): type, whence, start, length, process."""


class RunLocks:
    """Locks of one opened study, by the ids of its runs.

    They belong to an open file, not to a process (F_OFD_SETLK of fcntl(2)), so a study that is open twice in
    one process is told apart, too, and they end with their process, however it ends. The file is there while
    a run goes on. Every method is called inside a transaction of the study, and so by one at a time.

    Parameters
    ----------
    study_file : Path
        The file of the locks lies beside it.
    """

    def __init__(self, study_file: Path) -> None:
        self._path = study_file.with_name(f"{study_file.name}-runs")
        self._held: dict[int, int] = {}

    @property
    def held(self) -> tuple[int, ...]:
        """The runs that are shown to go on by this object."""
        return tuple(self._held)

    def hold(self, run_id: int) -> None:
        """Show that a run goes on. Where the file system has no locks, nothing is shown."""
        with contextlib.suppress(OSError):
            descriptor = _opened(self._path, os.O_CREAT)
            self._held[run_id] = descriptor
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, run_id, 1, 0))

    def let_go(self, run_id: int) -> None:
        """Show that a run has ended; after the last one the file goes, too."""
        if run_id in self._held:
            os.close(self._held.pop(run_id))
            with contextlib.suppress(OSError):
                if not self._is_locked(start=0, length=0):
                    self._path.unlink(missing_ok=True)

    def goes_on(self, run_id: int) -> bool:
        """Whether somebody holds a run; true where that cannot be known."""
        try:
            return self._is_locked(run_id, 1)
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def _is_locked(self, start: int, length: int) -> bool:
        descriptor = _opened(self._path)
        try:
            asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
            kind, *_ = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked))
        finally:
            os.close(descriptor)
        return bool(kind != fcntl.F_UNLCK)


def _opened(path: Path, more: int = 0) -> int:
    return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | more, 0o666)
