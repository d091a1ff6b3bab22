"""The interface every device offers to the host."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hytnas_agent.label import DEFAULT_MAX_PROCESSES
from hytnas_agent.protocol import DeviceDescription
from hytnas_agent.records import MeasureJob, MeasureSettings, ModelFormat, ProcessResult


@dataclass(frozen=True)
class Method:
    """How a device is measured on where nobody says otherwise.

    Attributes
    ----------
    settings : MeasureSettings
        How one process measures one model.
    processes : int
        Fresh timed processes a model at least.
    max_processes : int
        At most, where the label's interval is not narrow enough before.
    canary_every : int
        Timed processes between two of the canary; 0 for no canary, where a device cannot drift.
    memory_pass : bool
        Whether the peak memory of a process says anything about the device.
    """

    settings: MeasureSettings = field(default_factory=MeasureSettings)
    processes: int = 5
    max_processes: int = DEFAULT_MAX_PROCESSES
    canary_every: int = 20
    memory_pass: bool = True


class Device(Protocol):
    """A board, or this machine, that measures models through its agent.

    ``shares_processor`` is true where host and agent run on one machine; then host work stands still while a
    timed run is going (``quiet``). ``method`` is how to measure on it by default.
    """

    name: str
    shares_processor: bool
    method: Method

    def describe(
        self,
        *,
        runtime: str | None = None,
        threads: int = 1,
        model_format: ModelFormat | None = None,
        precision: str = "fp32",
    ) -> DeviceDescription:
        """Identity, context, runtimes and health of the device.

        The context is that of measuring models of this format and precision with so many threads by this
        runtime, or else by the first usable one that runs the format.
        """
        ...

    def acquire(self, reason: str) -> None:
        """Take the device for oneself until ``release``; raises DeviceBusyError naming who has it."""
        ...

    def release(self) -> None:
        """Give the device back; nothing happens where it is not held."""
        ...

    def push(self, file: Path, sha256: str, suffix: str) -> None:
        """Put a file into the agent's spool under its hash; nothing happens where it is there already."""
        ...

    def measure(self, job: MeasureJob, on_progress: Callable[[str], None] | None = None) -> ProcessResult:
        """Run one job and wait for its result; the same ``job_id`` again gives the same result."""
        ...

    def results(self, job_ids: Sequence[str]) -> list[ProcessResult]:
        """Those of these jobs that have ended, from the agent's journal; nothing is run."""
        ...

    def acknowledge(self, job_ids: list[str]) -> None:
        """Tell the agent that these results are stored here and need not be replayed."""
        ...

    def cancel(self, job_id: str) -> None:
        """Stop a job, if the agent can be told so now; its result is then CANCELLED."""
        ...

    def quiet(self) -> AbstractContextManager[None]:
        """Hold while a timed run goes on: the host's own heavy work stands still."""
        ...

    def close(self) -> None:
        """Release the lease and end the connection."""
        ...
