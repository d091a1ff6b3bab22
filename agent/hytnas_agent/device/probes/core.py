"""What others took of the measuring cores: other processes, and other machines on the same host.

Two clocks tell of other processes. The kernel counts the nanoseconds that the worker's threads were ready
and had to wait (``schedstat``); where it does not, the busy ticks of the cores less the worker's own time are
what others had. A tick is 10 ms, so that fewer than three of them are no finding. The load average is no use
here: it looks back a minute, at this agent's own work too.

References
----------
.. [stat] proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal, in ticks.
.. [schedstat] https://docs.kernel.org/scheduler/sched-stats.html: ``/proc/<pid>/schedstat``.
"""

import os
from collections.abc import Sequence
from typing import Any, Final

from hytnas_agent.device.files import read_text
from hytnas_agent.device.probes.base import Probe, TimedRuns
from hytnas_agent.device.sources import Sources
from hytnas_agent.records import HealthSnapshot, MeasurePass, ProcessorTime

OTHERS_SHARE: Final = 0.10
"""Of the cores' time during the timed runs; a median of runs hardly notices less."""

HIT_SHARE: Final = 0.10
"""Of the runs, that may have been preempted; each time hits one run."""

STEAL_SHARE: Final = 0.05
MIN_LOST_S: Final = 0.03
"""Three ticks: less than this is no finding, whatever its share of a short measurement."""

BUSY_SHARE: Final = 0.25
"""Of the cores' time in the moment before a measurement, from which on it is held back."""

BUSY_FIELDS: Final = (0, 1, 2, 5, 6)
STEAL_FIELD: Final = 7
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class OtherProcesses(Probe):
    """Other processes on the measuring cores."""

    name = "other processes"
    passes = Probe.passes | {MeasurePass.SUSTAINED}
    patience_s = 3.0

    def read(self, sources: Sources, cores: Sequence[int]) -> dict[str, Any]:
        """``core_busy_s`` of the measuring cores since boot, and how many they are."""
        ticks = _ticks(sources, cores)
        busy = None if ticks is None else sum(ticks[field] for field in BUSY_FIELDS) / TICKS_PER_S
        return {"core_busy_s": busy, "cores": tuple(cores)}

    def hold(self, earlier: HealthSnapshot, now: HealthSnapshot) -> str:
        """While somebody else works there; no worker runs yet."""
        if earlier.core_busy_s is None or now.core_busy_s is None or earlier.monotonic_s is None:
            return ""
        available_s = ((now.monotonic_s or 0.0) - earlier.monotonic_s) * len(now.cores)
        busy_s = now.core_busy_s - earlier.core_busy_s
        if available_s <= 0 or busy_s < MIN_LOST_S or busy_s <= BUSY_SHARE * available_s:
            return ""
        return f"{named_cores(now)} {min(1.0, busy_s / available_s):.0%} busy"

    def judge(self, runs: TimedRuns) -> str | None:
        """More than a tenth of the cores' time in the hands of others, and a tenth of the runs hit by it.

        One long pause among a hundred short runs takes much of their time and leaves the median as it was.
        """
        if runs.processor is None:
            return None
        lost_s = runs.processor.run_delay_s
        if lost_s is None:
            if runs.before.core_busy_s is None or runs.after.core_busy_s is None:
                return None
            lost_s = runs.after.core_busy_s - runs.before.core_busy_s - runs.processor.cpu_s
        available_s = runs.processor.wall_s * max(1, len(runs.after.cores))
        if lost_s < MIN_LOST_S or lost_s <= OTHERS_SHARE * available_s or _few_were_hit(runs.processor):
            return ""
        return f"other processes took {min(1.0, lost_s / available_s):.0%} of {named_cores(runs.after)}"


class Steal(Probe):
    """Time that a hypervisor gave to other machines."""

    name = "steal time"
    passes = Probe.passes | {MeasurePass.SUSTAINED}

    def read(self, sources: Sources, cores: Sequence[int]) -> dict[str, Any]:
        """``core_steal_s`` of the measuring cores and ``steal_ticks`` of all, since boot."""
        ticks, everywhere = _ticks(sources, cores), _ticks(sources, None)
        return {
            "core_steal_s": None if ticks is None else ticks[STEAL_FIELD] / TICKS_PER_S,
            "steal_ticks": None if everywhere is None else everywhere[STEAL_FIELD],
        }

    def judge(self, runs: TimedRuns) -> str | None:
        """More than a twentieth of the cores' time stolen."""
        before, after, processor = runs.before, runs.after, runs.processor
        if before.core_steal_s is None or after.core_steal_s is None or processor is None:
            return None
        lost_s = after.core_steal_s - before.core_steal_s
        available_s = processor.wall_s * max(1, len(after.cores))
        # In whole ticks: binary fractions of a hundredth of a second do not add up.
        if round(lost_s * TICKS_PER_S) < round(MIN_LOST_S * TICKS_PER_S):
            return ""
        stolen = lost_s > STEAL_SHARE * available_s
        return f"the hypervisor took {lost_s / available_s:.0%} of {named_cores(after)}" if stolen else ""


class Load(Probe):
    """How busy the whole device is. It is kept with the record and judges nothing: see the module."""

    name = "load"

    def read(self, sources: Sources, cores: Sequence[int]) -> dict[str, Any]:
        """``load_1min``, and ``busy_s`` of all cores together since boot."""
        del cores
        ticks = _ticks(sources, None)
        try:
            load = float((read_text(sources.root / "proc/loadavg") or "").split()[0])
        except (IndexError, ValueError):
            load = None
        busy = None if ticks is None else sum(ticks[field] for field in BUSY_FIELDS) / TICKS_PER_S
        return {"load_1min": load, "busy_s": busy}

    def judge(self, runs: TimedRuns) -> str | None:
        """Never a reason."""
        return None if runs.after.load_1min is None else ""


def work_of_others(runs: TimedRuns) -> str:
    """More than a tenth of a core's time spent by others on any core; empty if less, or where unknown."""
    before_s, after_s, processor = runs.before.busy_s, runs.after.busy_s, runs.processor
    if before_s is None or after_s is None or processor is None:
        return ""
    others_s = after_s - before_s - processor.cpu_s
    if others_s < MIN_LOST_S or others_s <= OTHERS_SHARE * processor.wall_s:
        return ""
    return f"other processes worked for {others_s / processor.wall_s:.0%} of a core's time"


def _few_were_hit(processor: ProcessorTime) -> bool:
    """Whether so few runs can have been preempted that their median does not tell; False if not known."""
    preemptions, runs = processor.preemptions, processor.runs
    return preemptions is not None and runs is not None and preemptions <= HIT_SHARE * runs


def _ticks(sources: Sources, cores: Sequence[int] | None) -> list[int] | None:
    """The eight counters of proc_stat(5) summed over ``cores``, or of all; None unless all are there."""
    wanted = {"cpu"} if cores is None else {f"cpu{core}" for core in cores}
    lines = [line.split() for line in (read_text(sources.root / "proc/stat") or "").splitlines()]
    found = [
        [int(field) for field in line[1:9]]
        for line in lines
        if line and line[0] in wanted and len(line) > 8 and all(field.isdigit() for field in line[1:9])
    ]
    return [sum(column) for column in zip(*found, strict=True)] if len(found) == len(wanted) else None


def named_cores(snapshot: HealthSnapshot) -> str:
    """Which cores measure, in words."""
    if len(snapshot.cores) < 2:
        return f"core {snapshot.cores[0]}" if snapshot.cores else "the core"
    return f"cores {', '.join(map(str, snapshot.cores))}"
