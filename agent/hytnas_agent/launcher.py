"""How the agent starts the processes that import a runtime: on this machine, or on an emulated processor.

The file that ``HYTNAS_AGENT_LAUNCHER`` names describes an emulator that runs another Python. The agent itself
stays native: only workers and the trial of a runtime go through the launcher.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import msgspec

from hytnas_agent.device.hardware import Hardware
from hytnas_agent.errors import AgentError
from hytnas_agent.records import MeasureJob, MeasurePass

LAUNCHER_VARIABLE = "HYTNAS_AGENT_LAUNCHER"
COUNTER_VARIABLE = "HYTNAS_AGENT_COUNTER"
RATE_VARIABLE = "HYTNAS_AGENT_INSTRUCTIONS_PER_S"
COUNTER_PLACE = "{counter}"
"""Stands in the command line for the descriptor of the counter's page."""
COUNTER_BYTES = 4096
MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Launch:
    """What a process is started with: command line, environment, and descriptors that it inherits."""

    argv: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()


class Launcher(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A way to start Python.

    Attributes
    ----------
    python : tuple of str
        Command line of the interpreter; ``{counter}`` in it stands for the descriptor of the counter's page.
    environment : dict
        Variables added to the agent's own.
    instructions_per_s : int or None
        Where the emulator counts the instructions of the main thread into the counter's page, the rate at
        which they count as time. None: time is the clock's.
    hardware : Hardware or None
        What the processes run on; read from this machine by default.
    serial : str
        Identity of the emulated device, the same on every machine that emulates it.
    """

    python: tuple[str, ...]
    environment: dict[str, str] = {}
    instructions_per_s: int | None = None
    hardware: Hardware | None = None
    serial: str = ""

    @property
    def counts(self) -> bool:
        """Whether instructions stand for time."""
        return self.instructions_per_s is not None

    def check_threads(self, threads: int) -> None:
        """Raise AgentError where so many threads cannot be counted."""
        if self.counts and threads != 1:
            raise AgentError(
                f"instructions are counted of one thread, {threads} were asked for", "Measure with one thread"
            )

    def refusal(self, job: MeasureJob) -> str:
        """Why a job cannot be measured by counting instructions; empty if it can."""
        if not self.counts:
            return ""
        try:
            self.check_threads(job.settings.threads)
        except AgentError as error:
            return error.what
        if job.measure_pass == MeasurePass.MEMORY:
            return "the peak memory of an emulated process is the emulator's"
        if job.measure_pass != MeasurePass.TIMED:
            return f"counted instructions say nothing for the {job.measure_pass} pass"
        return ""

    @contextmanager
    def launch(self, *arguments: str) -> Iterator[Launch]:
        """What Python is to be started with for these arguments, within the context."""
        if not self.counts:
            yield Launch((*self.python, *arguments), dict(self.environment), ())
            return
        page = os.memfd_create("instructions", os.MFD_CLOEXEC)
        try:
            os.ftruncate(page, COUNTER_BYTES)
            argv = tuple(part.replace(COUNTER_PLACE, str(page)) for part in self.python)
            variables = {COUNTER_VARIABLE: str(page), RATE_VARIABLE: str(self.instructions_per_s)}
            yield Launch((*argv, *arguments), self.environment | variables, (page,))
        finally:
            os.close(page)


NATIVE = Launcher((sys.executable,))


def current_launcher() -> Launcher:
    """The launcher that ``HYTNAS_AGENT_LAUNCHER`` names, else this machine's own Python.

    Raises
    ------
    AgentError
        If its file cannot be read or understood, or others may write to it.
    """
    path = os.environ.get(LAUNCHER_VARIABLE)
    return read_launcher(Path(path)) if path else NATIVE


@lru_cache(maxsize=4)
def read_launcher(path: Path) -> Launcher:
    """The launcher of a file; it is read once. Raises AgentError."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
                raise AgentError(
                    f"others can change the launcher {path}", f"Keep it to yourself: chmod 600 {path}"
                )
            content = file.read(MAX_FILE_BYTES)
        launcher = msgspec.json.decode(content, type=Launcher)
    except OSError as error:
        raise AgentError(f"the launcher {path} cannot be read: {error.strerror}", _ADVICE) from error
    except ValueError as error:
        raise AgentError(f"the launcher {path} is malformed: {error}", _ADVICE) from error
    rate = launcher.instructions_per_s
    if not launcher.python or (rate is not None and rate < 1):
        raise AgentError(f"the launcher {path} names no interpreter or no rate", _ADVICE)
    return launcher


_ADVICE = f"Unset {LAUNCHER_VARIABLE}, or let the host that wrote the file write it again"
