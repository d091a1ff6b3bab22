"""What this process gets of the processor while its runs are timed."""

import resource
import time
from pathlib import Path

from hytnas_agent.device.files import read_text
from hytnas_agent.records import ProcessorTime

THREADS = Path("/proc/self/task")


class ProcessorMeter:
    """Counts from its making on; see `ProcessorTime`."""

    def __init__(self, threads: Path = THREADS) -> None:
        self._threads = threads
        self._run_delay_s = run_delay_s(threads)
        self._cpu_s = time.process_time()
        self._preemptions = _preemptions()
        self._begin_s = time.monotonic()

    def read(self, runs: int | None = None) -> ProcessorTime:
        """The time since then, in which there were so many runs; without them it is judged as a whole."""
        wall_s = time.monotonic() - self._begin_s
        cpu_s = time.process_time() - self._cpu_s
        now_s = run_delay_s(self._threads)
        delay_s = None if now_s is None or self._run_delay_s is None else max(0.0, now_s - self._run_delay_s)
        return ProcessorTime(wall_s, cpu_s, delay_s, _preemptions() - self._preemptions, runs)


def _preemptions() -> int:
    """Involuntary context switches of getrusage(2)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def run_delay_s(threads: Path = THREADS) -> float | None:
    """Seconds that the threads in this folder of /proc were ready to run and had to wait, all together.

    The second field of ``schedstat``: https://docs.kernel.org/scheduler/sched-stats.html. None where the
    kernel has none.
    """
    delays = [(read_text(path) or "").split() for path in threads.glob("*/schedstat")]
    if not delays or any(len(fields) < 2 or not fields[1].isdigit() for fields in delays):
        return None
    return sum(int(fields[1]) for fields in delays) / 1e9
