"""The state of the board at one moment, as its probes see it."""

import time
from collections.abc import Sequence
from typing import Any

from hytnas_agent.device.probes import PROBES
from hytnas_agent.device.sources import Sources
from hytnas_agent.records import HealthSnapshot


def health_snapshot(cores: Sequence[int] = (0,), sources: Sources | None = None) -> HealthSnapshot:
    """What can be read about the board's state now; clock, governor and ticks are those of ``cores``.

    A probe that is absent leaves None: unknown, never healthy.
    """
    read: dict[str, Any] = {}
    for probe in PROBES:
        read |= probe.read(sources or Sources(), cores or (0,))
    return HealthSnapshot(at_unix_s=time.time(), monotonic_s=time.monotonic(), **read)
