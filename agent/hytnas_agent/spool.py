"""Models and reference tensors on the device, named by their SHA-256, the least recently used evicted."""

import contextlib
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from threading import RLock

from hytnas_agent.paths import SPOOL_NAME
from hytnas_agent.protocol import ErrorCode, RpcError
from hytnas_agent.records import MeasureJob
from hytnas_agent.regular_file import file_hash
from hytnas_agent.supervisor import JobFiles

DEFAULT_CAPACITY_BYTES = 2 * 1024**3
DEFAULT_FILE_BYTES = 512 * 1024**2
DEFAULT_RESERVE_BYTES = 256 * 1024**2
# Those used last, which stay however full the disk is: the files of the job to come are among them.
KEPT_FILES = 12
ABANDONED_UPLOAD_S = 24 * 3600.0
MAX_UPLOAD_CHARACTERS = 100


class Spool:
    """A content-addressed folder with a cap.

    Parameters
    ----------
    folder, incoming : Path
        Verified files, and uploads; on one file system.
    pinned : callable
        Names that queued and running jobs need: never evicted.
    capacity_bytes, file_bytes : int
        Largest total and largest single file.
    reserve_bytes : int
        What uploads leave free of the disk, as far as evicting helps.
    """

    def __init__(
        self,
        folder: Path,
        incoming: Path,
        pinned: Callable[[], Collection[str]],
        *,
        capacity_bytes: int = DEFAULT_CAPACITY_BYTES,
        file_bytes: int = DEFAULT_FILE_BYTES,
        reserve_bytes: int = DEFAULT_RESERVE_BYTES,
    ) -> None:
        self._folder, self._incoming, self._pinned = folder, incoming, pinned
        self.capacity_bytes, self._file_bytes = capacity_bytes, file_bytes
        self._reserve_bytes = reserve_bytes
        # Held by who checks that files are there until they are pinned, and by who evicts.
        self.lock = RLock()
        self._newest_ns = max((used_ns for _, _, used_ns in self._entries()), default=0)

    def path(self, name: str) -> Path:
        """Where the file of this name is or would be.

        Raises
        ------
        RpcError
            INVALID_PARAMS if it is no spool name.
        """
        if not SPOOL_NAME.fullmatch(name):
            raise RpcError(ErrorCode.INVALID_PARAMS, f"{name[:80]!r} is not <sha256>.onnx, .tflite or .npz")
        return self._folder / name

    def used_bytes(self) -> int:
        """Size of all verified files."""
        return sum(size for _, size, _ in self._entries())

    def present(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the names that are there as files; they count as used now."""
        found = []
        for name in names:
            path = self.path(name)
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISREG(path.lstat().st_mode):
                    self._use(path)
                    found.append(name)
        return tuple(found)

    def _use(self, path: Path) -> None:
        """Note that a file is the latest used one, also where the clock was set back since the one before."""
        with self.lock:
            self._newest_ns = max(self._newest_ns + 1, time.time_ns())
            os.utime(path, ns=(self._newest_ns, self._newest_ns))

    def files_of(self, job: MeasureJob) -> JobFiles:
        """The paths of everything the job needs.

        Raises
        ------
        RpcError
            NOT_SPOOLED, naming what has to be uploaded first.
        """
        names = names_of(job)
        missing = sorted(set(names) - set(self.present(names)))
        if missing:
            raise _not_spooled(f"the device does not have {', '.join(missing)}")
        model, *reference = (self.path(name) for name in names)
        return JobFiles(model, *reference)

    def check_names(self, upload: str, name: str) -> Path:
        """Where the upload of this name is to go.

        Raises
        ------
        RpcError
            INVALID_PARAMS if either is no name of a file there.
        """
        if (
            upload in ("", ".", "..")
            or "/" in upload
            or "\0" in upload
            or len(upload) > MAX_UPLOAD_CHARACTERS
        ):
            raise RpcError(ErrorCode.INVALID_PARAMS, f"{upload[:80]!r} is not the name of a file in incoming")
        return self.path(name)

    def commit(self, upload: str, name: str, size_bytes: int) -> bool:
        """Verify an upload and move it to its name; whether the spool had it. The upload is gone after.

        Raises
        ------
        RpcError
            HASH_MISMATCH, SPOOL_FULL or INVALID_PARAMS.
        """
        target = self.check_names(upload, name)
        source = self._incoming / upload
        try:
            with self.lock:
                if self.present([name]):
                    return True
            self._verify(source, name, size_bytes)
            with self.lock:
                self._make_room(size_bytes)
                source.rename(target)
                self._use(target)
        finally:
            source.unlink(missing_ok=True)
        return False

    def _verify(self, source: Path, name: str, size_bytes: int) -> None:
        if size_bytes > self._file_bytes:
            raise RpcError(
                ErrorCode.SPOOL_FULL, f"{name} has {size_bytes} bytes, allowed are {self._file_bytes}"
            )
        try:
            descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise RpcError(
                ErrorCode.NOT_SPOOLED,
                f"the upload {source.name} cannot be read: {error.strerror}",
                "Write it to the incoming folder first",
            ) from error
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size != size_bytes:
                found = f"the upload of {name} has {status.st_size} bytes, not {size_bytes}"
                raise RpcError(ErrorCode.HASH_MISMATCH, found, "Upload it again")
            if hashlib.file_digest(file, "sha256").hexdigest() != name.partition(".")[0]:
                raise RpcError(
                    ErrorCode.HASH_MISMATCH,
                    f"the upload of {name} does not have that hash",
                    "Upload it again",
                )
            os.fsync(descriptor)

    def expect(self, upload_bytes: int) -> None:
        """Make room on the disk for an upload of this size, as far as there is anything to evict."""
        with self.lock:
            missing = upload_bytes + self._reserve_bytes - shutil.disk_usage(self._folder).free
            pinned = self._pinned()
            oldest_first = sorted(self._entries(), key=lambda entry: entry[2])
            for path, size, _ in oldest_first[:-KEPT_FILES]:
                if missing <= 0:
                    return
                if path.name not in pinned:
                    path.unlink(missing_ok=True)
                    missing -= size

    def _make_room(self, wanted_bytes: int) -> None:
        used = self.used_bytes()
        pinned = self._pinned()
        for path, size, _ in sorted(self._entries(), key=lambda entry: entry[2]):
            if used + wanted_bytes <= self.capacity_bytes:
                return
            if path.name not in pinned:
                path.unlink(missing_ok=True)
                used -= size
        if used + wanted_bytes > self.capacity_bytes:
            raise RpcError(
                ErrorCode.SPOOL_FULL,
                f"no room for {wanted_bytes} bytes: queued jobs need {used} of the {self.capacity_bytes}",
                "Let queued jobs finish first",
            )

    def drop_abandoned_uploads(self) -> None:
        """Remove uploads that nobody committed for a day."""
        limit = time.time() - ABANDONED_UPLOAD_S
        for path in self._incoming.iterdir():
            with contextlib.suppress(OSError):  # gone meanwhile; or no upload but somebody's folder
                if path.lstat().st_mtime < limit:
                    path.unlink()

    def _entries(self) -> list[tuple[Path, int, int]]:
        entries = []
        with self.lock, os.scandir(self._folder) as found:
            for entry in found:
                if SPOOL_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    entries.append((Path(entry.path), status.st_size, status.st_mtime_ns))
        return entries


def check_content(job: MeasureJob, files: JobFiles) -> None:
    """Look whether the job's files still are what their names say: a memory card may change a bit.

    It reads all of them, about a tenth of a second for 10 MB on a small board: never beside a timed run.

    Raises
    ------
    RpcError
        NOT_SPOOLED, naming those that are not, or cannot be read; they are removed.
    """
    damaged = []
    for name, path in zip(names_of(job), files.paths, strict=True):
        if not _is_intact(path):
            damaged.append(name)
            with contextlib.suppress(OSError):
                path.unlink()
    if damaged:
        raise _not_spooled(f"what the device has is damaged, and was removed: {', '.join(damaged)}")


def _is_intact(path: Path) -> bool:
    try:
        return file_hash(path) == path.name.partition(".")[0]
    except OSError:
        return False


def _not_spooled(what: str) -> RpcError:
    return RpcError(ErrorCode.NOT_SPOOLED, what, "Upload it, commit it with spool_commit, then measure")


def names_of(job: MeasureJob) -> list[str]:
    """The spool names that a job needs: the model, and its reference's inputs and outputs or given inputs."""
    names = [f"{job.model_sha256}.{job.format}"]
    if job.reference is not None:
        names += [f"{job.reference.inputs_sha256}.npz", f"{job.reference.outputs_sha256}.npz"]
    elif isinstance(job.settings.inputs_sha256, str):
        names.append(f"{job.settings.inputs_sha256}.npz")
    return names
