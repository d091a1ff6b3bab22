"""Whether memory goes to a disk and back, which makes a latency one of the disk.

Memory that was swapped out and stays there disturbs nothing; what moves while runs are timed does. Hence the
traffic judges, and what is in use is for the doctor to say.
"""

from collections.abc import Sequence
from typing import Any

from hytnas_agent.device.files import meminfo_bytes, read_counters
from hytnas_agent.device.probes.base import Probe, TimedRuns
from hytnas_agent.device.sources import Sources
from hytnas_agent.records import HealthSnapshot


class Swap(Probe):
    """Pages moved (``pswpin``, ``pswpout`` of proc_vmstat(5)) and memory swapped out."""

    name = "swap"
    patience_s = 3.0

    def read(self, sources: Sources, cores: Sequence[int]) -> dict[str, Any]:
        """``swapped_pages`` since boot and ``swap_used_bytes``."""
        del cores
        counters = read_counters(sources.root / "proc/vmstat")
        total = meminfo_bytes("SwapTotal", sources.root)
        free = meminfo_bytes("SwapFree", sources.root)
        return {
            "swapped_pages": counters["pswpin"] + counters.get("pswpout", 0)
            if "pswpin" in counters
            else None,
            "swap_used_bytes": None if total is None or free is None else total - free,
        }

    def hold(self, earlier: HealthSnapshot, now: HealthSnapshot) -> str:
        """While pages move."""
        pages = _moved(earlier, now)
        return f"{pages} pages swapped a moment ago" if pages else ""

    def judge(self, runs: TimedRuns) -> str | None:
        """Any page moved during the runs."""
        pages = _moved(runs.before, runs.after)
        if pages is None:
            return None
        return f"{pages} pages were swapped" if pages else ""


def _moved(earlier: HealthSnapshot, now: HealthSnapshot) -> int | None:
    if earlier.swapped_pages is None or now.swapped_pages is None:
        return None
    return max(0, now.swapped_pages - earlier.swapped_pages)
