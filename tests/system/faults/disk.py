"""A disk of its own that is quickly full."""

import errno
import os
import subprocess
from pathlib import Path
from typing import Self

_CHUNK = b"\1" * 65536


class SmallDisk:
    """A tmpfs at a folder; to be had by root alone.

    Parameters
    ----------
    folder : Path
    size_mib : int
    """

    def __init__(self, folder: Path, size_mib: int) -> None:
        self.folder = folder
        self._size_mib = size_mib

    def __enter__(self) -> Self:
        assert os.geteuid() == 0, "tests with full disks mount small ones, which takes root"
        self.folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={self._size_mib}m,mode=700", "tmpfs", self.folder],
            check=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", self.folder], check=True)

    def protect(self) -> None:
        """Let nothing be written from here on."""
        subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)

    def fill(self, leave_bytes: int = 0) -> None:
        """Take all space but so much."""
        with self._filler.open("ab", buffering=0) as file:
            while True:
                free = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize - leave_bytes
                if free <= 0:
                    return
                try:
                    file.write(_CHUNK[:free])
                except OSError as error:
                    if error.errno == errno.ENOSPC:
                        return
                    raise

    def make_room(self) -> None:
        """Give the space back."""
        self._filler.unlink(missing_ok=True)

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"
