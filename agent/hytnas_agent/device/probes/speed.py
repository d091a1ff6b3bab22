"""How fast the measuring core is, by a fixed piece of work beside the runs: `hytnas_agent.core_speed`.

The kernel tells what other processes have of a core, and a hypervisor what other machines have of it. Neither
tells of who has the other hardware thread of the same core, as is common where machines are rented.
"""

from collections.abc import Sequence
from typing import Any

from hytnas_agent.device.probes.base import Probe, TimedRuns
from hytnas_agent.device.probes.core import named_cores
from hytnas_agent.device.sources import Sources
from hytnas_agent.records import MeasurePass


class Speed(Probe):
    """The speed of the core beside the timed runs."""

    name = "core speed"
    passes = frozenset({MeasurePass.TIMED})

    def read(self, sources: Sources, cores: Sequence[int]) -> dict[str, Any]:
        """Nothing: only a process that works can tell."""
        del sources, cores
        return {}

    def judge(self, runs: TimedRuns) -> str | None:
        """Too few runs beside which the core was as fast as at best, or none because it was never fast."""
        if runs.speed is None:
            return None
        if runs.speed.ended_early and not runs.speed.before:
            return f"{named_cores(runs.after)} slower than at best for {runs.speed.waited_before_s:.0f} s"
        if runs.speed.enough():
            return ""
        at_speed = runs.speed.at_speed()
        share = 1 - sum(at_speed) / max(1, len(at_speed))
        return f"{named_cores(runs.after)} slower than at best beside {share:.0%} of the runs"
