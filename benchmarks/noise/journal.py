"""The journal of a noise study: one JSON line a process, kept however the study ends.

A line that was being written when the study was killed is cut off on the next start. Its process is measured
again, as a job of its own: what the agent may have gone on with meanwhile was not under the same condition.
"""

import fcntl
import lzma
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from hytnas_agent.records import Outcome

MAX_LINE_BYTES = 1 << 20


class Header(msgspec.Struct, frozen=True, tag="study"):
    """What a study is of: nothing of it may change when the study is gone on with.

    ``models`` are hashes, in the order of the sample. Times are in seconds, hog spells means.
    ``agent_version`` is of the agent that measures, ``agent_code`` a hash of this machine's agent and
    ``study_code`` one of what decides which processes are measured and how.
    """

    device: str
    device_id: str
    context: str
    agent_version: str
    agent_code: str
    study_code: str
    resolution: int
    seed: int
    models: tuple[str, ...]
    core: int
    other_core: int
    timed_budget_s: float
    target_half_width: float
    min_processes: int
    max_processes: int
    hog_busy_s: float
    hog_idle_s: float


class Process(msgspec.Struct, frozen=True, tag="process"):
    """One fresh process of one method.

    ``replicate`` says which of the label's processes it is an attempt at. ``samples_ms`` are the timed runs
    that count, those at the core's best speed where they are enough. ``wall_s`` is what it cost the host,
    ``usable`` whether the agent found it undisturbed; ``disturbed`` says why not, and ``message`` why it
    failed. ``steal_s`` went to other machines on the measuring core, of the ``runs_s`` that the timed runs
    took. The hog held its core for ``hog_busy_s`` of the ``hog_s`` since it was last asked.
    """

    condition: str
    repeat: int
    model: str
    method: str
    replicate: int
    job_id: str
    outcome: Outcome
    started_unix_s: float
    wall_s: float
    samples_ms: tuple[float, ...] = ()
    cold_ms: float | None = None
    load_ms: float | None = None
    warmup_runs: int = 0
    steady: bool | None = None
    usable: bool = True
    disturbed: tuple[str, ...] = ()
    message: str = ""
    steal_s: float | None = None
    runs_s: float | None = None
    involuntary_switches: int | None = None
    hog_busy_s: float | None = None
    hog_s: float | None = None


class Block(msgspec.Struct, frozen=True, tag="block"):
    """A pass of all methods over all models under one condition has ended, after ``seconds`` of processes."""

    condition: str
    repeat: int
    seconds: float
    load_average: float


_LINES: msgspec.json.Decoder[Header | Process | Block] = msgspec.json.Decoder(Header | Process | Block)


class Journal:
    """The journal's file, read and ready to be added to.

    Parameters
    ----------
    path : Path
        A file to read may be compressed with xz (``.xz``).
    writable : bool
        Else the file is only read, and may be another process's.

    Attributes
    ----------
    header : Header or None
        None where the study has just begun.
    processes : list of Process
    blocks : list of Block

    Raises
    ------
    SystemExit
        The file is no journal of a noise study, or another process adds to it.
    """

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        self.header: Header | None = None
        self.processes: list[Process] = []
        self.blocks: list[Block] = []
        if writable:
            self._file: IO[bytes] = path.open("a+b")
            self._claim(path)
            self._cut_torn_line()
        else:
            self._file = (lzma.open if path.suffix == ".xz" else open)(path, "rb")
        try:
            self._read(path)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, entry: Header | Process | Block) -> None:
        """Write one line; a block's end, and the header, through to the disk."""
        self._file.write(msgspec.json.encode(entry) + b"\n")
        self._file.flush()
        if not isinstance(entry, Process):
            os.fsync(self._file.fileno())
        self._note(entry)

    def _read(self, path: Path) -> None:
        number = 0
        try:
            for line in self._lines():
                number += 1
                self._note(_LINES.decode(line))
        except msgspec.MsgspecError as error:
            raise SystemExit(
                f"line {number} of {path} is not of a noise study, or of one by another version of this "
                f"program ({error}): take another folder"
            ) from error
        except (lzma.LZMAError, EOFError) as error:
            raise SystemExit(f"{path} cannot be unpacked ({error}): get it once more") from error

    def _note(self, entry: Header | Process | Block) -> None:
        if isinstance(entry, Process):
            self.processes.append(entry)
        elif isinstance(entry, Block):
            self.blocks.append(entry)
        else:
            self.header = entry

    def _lines(self) -> Iterator[bytes]:
        self._file.seek(0)
        while (line := self._file.readline(MAX_LINE_BYTES)).endswith(b"\n"):
            yield line

    def _claim(self, path: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise SystemExit(f"another process is at work on {path}: wait for its end") from error

    def _cut_torn_line(self) -> None:
        size = self._file.seek(0, os.SEEK_END)
        start = max(0, size - MAX_LINE_BYTES)
        self._file.seek(start)
        tail = self._file.read()
        self._file.truncate(start + tail.rfind(b"\n") + 1)
