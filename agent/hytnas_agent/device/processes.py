"""Which processes use the processor, for a person who is to end them."""

import os
from collections.abc import Mapping
from pathlib import Path

from hytnas_agent.device.files import ROOT, read_text

MAX_NAMED = 3
MIN_TICKS = 5
MAX_NAME_CHARACTERS = 40


def processor_times(root: Path = ROOT) -> dict[tuple[int, str], int]:
    """Processor time so far of each process, in ticks, by process id and name: proc_pid_stat(5)."""
    times = {}
    for folder in (root / "proc").glob("[0-9]*"):
        text = read_text(folder / "stat") or ""
        name, _, rest = text.partition(" (")[2].rpartition(") ")
        fields = rest.split()
        if len(fields) > 12 and fields[11].isdigit() and fields[12].isdigit():
            printable = "".join(c for c in name if c.isprintable())[:MAX_NAME_CHARACTERS]
            times[int(folder.name), printable] = int(fields[11]) + int(fields[12])
    return times


def busiest(earlier: Mapping[tuple[int, str], int], now: Mapping[tuple[int, str], int]) -> list[str]:
    """The processes with the most processor time in between, as ``name (pid)``, without this one."""
    used = {
        process: ticks - earlier[process]
        for process, ticks in now.items()
        if process in earlier and process[0] != os.getpid() and ticks - earlier[process] >= MIN_TICKS
    }
    ordered = sorted(used, key=lambda process: -used[process])
    return [f"{name} ({pid})" for pid, name in ordered[:MAX_NAMED]]
