"""The file a search goes on from: one line is added after every iteration; refused for another configuration.

The file holds JSON lines: what the search is, then a `Step` for each iteration. What is written for an
iteration depends on its batch alone, so that a long search does not write all again each time.
A line that a crash cut short is dropped, and the search goes on from the line before it.
"""

import fcntl
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from hytnas_agent.whole_file import sync_folder
from hytnas_host import study_files
from hytnas_host.search.errors import CheckpointError
from hytnas_host.search.result import Evaluated
from hytnas_host.search.strategies import StrategyState

VERSION: Final = 2
SYNC_S: Final = 1.0
"""A loss of power costs the evaluations of this time at most, or of one iteration."""


class Header(msgspec.Struct, frozen=True):
    """What the search is, field by field, without its budget."""

    version: int
    config: dict[str, str]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a search stands after an iteration.

    ``evaluated`` is what the iteration added, and ``batch_ended`` whether a whole batch ended with it;
    ``reference_point`` is minimised, and absent until the initial design is evaluated.
    """

    state: StrategyState
    evaluated: tuple[Evaluated, ...]
    batch_ended: bool
    reference_point: tuple[float, ...] | None
    seconds: float


@dataclass(frozen=True)
class Checkpoint:
    """Where a search stands: all that was evaluated, and the rest as of the last `Step`.

    ``counts`` holds the number of evaluations after each whole batch.
    """

    state: StrategyState
    evaluated: tuple[Evaluated, ...]
    counts: tuple[int, ...]
    reference_point: tuple[float, ...] | None
    seconds: float

    @classmethod
    def of(cls, steps: list[Step]) -> "Checkpoint":
        """What the steps of a search, at least one, came to."""
        evaluated: list[Evaluated] = []
        counts: list[int] = []
        for step in steps:
            evaluated += step.evaluated
            if step.batch_ended:
                counts.append(len(evaluated))
        last = steps[-1]
        return cls(last.state, tuple(evaluated), tuple(counts), last.reference_point, last.seconds)


class CheckpointFile:
    """The file at ``path`` of the search that ``config`` says; nobody else writes to it inside of `open`."""

    def __init__(self, path: Path, config: Mapping[str, str]) -> None:
        self.path = path
        self._header = Header(VERSION, dict(config))
        self._descriptor = -1
        self._synced_s = -SYNC_S

    @contextmanager
    def open(self) -> Iterator[Checkpoint | None]:
        """Where the search stands, or None where it has not begun; the file is made with the first `append`.

        Raises
        ------
        CheckpointError
            If the file cannot be read, another search is writing to it, or it belongs to a search with
            another configuration; names what differs.
        """
        try:
            self._descriptor = self._open(os.O_RDWR)
        except FileNotFoundError:
            self._descriptor = -1
        except OSError as error:
            raise CheckpointError(
                f"Cannot read the checkpoint {self.path}: {error.strerror or error}"
            ) from error
        try:
            yield self._read() if self._descriptor >= 0 else None
        finally:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def append(self, step: Step) -> None:
        """Add what an iteration came to.

        Raises
        ------
        CheckpointError
            If it cannot be written, or another search has begun the file meanwhile.
        """
        try:
            if self._descriptor < 0:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._descriptor = self._open(os.O_RDWR | os.O_CREAT | os.O_EXCL)
                sync_folder(self.path.parent)
            if os.lseek(self._descriptor, 0, os.SEEK_CUR) == 0:
                _write(self._descriptor, self._first_line)
            _write(self._descriptor, msgspec.json.encode(step) + b"\n")
            if time.monotonic() - self._synced_s >= SYNC_S:
                os.fsync(self._descriptor)
                self._synced_s = time.monotonic()
        except OSError as error:
            raise CheckpointError(
                f"Cannot write the checkpoint {self.path}: {error.strerror or error}",
                "Free space or choose another place",
            ) from error

    def _open(self, flags: int) -> int:
        descriptor = os.open(self.path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise CheckpointError(f"Cannot read the checkpoint {self.path}: it is no regular file")
            if found.st_size > study_files.MAX_JSON_BYTES:
                size = f"{study_files.MAX_JSON_BYTES // 2**20} MiB"
                raise CheckpointError(f"The checkpoint {self.path} is larger than {size}", self._again)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise CheckpointError(
                f"Another search is writing to the checkpoint {self.path}", "Wait until it has ended"
            ) from error
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _read(self) -> Checkpoint | None:
        """Where the search stands; what a crash cut short at the end of the file is cut off."""
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            content = file.read()
        end = _end_of_whole_lines(content)
        if end == 0 and not self._first_line.startswith(content):
            raise self._damaged("its first line cannot be read")
        header, *lines = content[:end].split(b"\n")[:-1] or [b""]
        if header:
            self._check_header(header)
        steps, decoder = [], msgspec.json.Decoder(Step)
        for number, line in enumerate(lines, start=2):
            try:
                steps.append(decoder.decode(line))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise self._damaged(f"line {number}: {error}") from error
        self._cut_off(end)
        return Checkpoint.of(steps) if steps else None

    def _cut_off(self, end: int) -> None:
        if end < os.fstat(self._descriptor).st_size:
            os.ftruncate(self._descriptor, end)
        os.lseek(self._descriptor, end, os.SEEK_SET)

    @property
    def _first_line(self) -> bytes:
        return msgspec.json.encode(self._header) + b"\n"

    def _check_header(self, line: bytes) -> None:
        try:
            header = msgspec.json.decode(line, type=Header)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self._damaged(f"line 1: {error}") from error
        if header.version != VERSION:
            raise CheckpointError(
                f"The checkpoint {self.path} has version {header.version}, not {VERSION}", self._again
            )
        own = self._header.config
        differing = [
            f"{field} was {header.config.get(field, 'absent')}, is {own.get(field, 'absent')}"
            for field in sorted({*own, *header.config})
            if header.config.get(field) != own.get(field)
        ]
        if differing:
            raise CheckpointError(
                f"The checkpoint {self.path} is of another search: {'; '.join(differing)}", self._again
            )

    @property
    def _again(self) -> str:
        return f"Delete {self.path} to begin again"

    def _damaged(self, how: str) -> CheckpointError:
        return CheckpointError(f"The checkpoint {self.path} is damaged: {how}", self._again)


def _end_of_whole_lines(content: bytes) -> int:
    """Where the last line ends that was written whole: its JSON can be read."""
    end = content.rfind(b"\n") + 1
    last = content[content.rfind(b"\n", 0, max(end - 1, 0)) + 1 : end]
    try:
        if last:
            msgspec.json.decode(last)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return end - len(last)
    return end


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
