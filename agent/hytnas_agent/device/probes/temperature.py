"""How far the processor is from the temperature at which it slows itself down.

References
----------
.. [rpi] https://www.raspberrypi.com/documentation/computers/config_txt.html, ``temp_limit``: 85 degrees
   Celsius, and throttling of the processor from 80 on.
.. [linux] https://docs.kernel.org/driver-api/thermal/sysfs-api.html: trip points of type ``passive`` are
   where the kernel begins to lower the clock.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from hytnas_agent.device.files import read_int, read_text
from hytnas_agent.device.probes.base import Probe, TimedRuns
from hytnas_agent.device.sources import Sources
from hytnas_agent.records import HealthSnapshot

RASPBERRY_PI_LIMIT_CELSIUS: Final = 80.0
MARGIN_CELSIUS: Final = 10.0
"""A measurement begins this far below the limit, as it warms the processor itself."""


class Temperature(Probe):
    """The processor's thermal zone and its limit."""

    name = "temperature"
    patience_s = 120.0

    def read(self, sources: Sources, cores: Sequence[int]) -> dict[str, Any]:
        """``temperature_celsius`` and ``temperature_limit_celsius``."""
        del cores
        zone = processor_zone(sources.root)
        millidegrees = None if zone is None else read_int(zone / "temp")
        limit = RASPBERRY_PI_LIMIT_CELSIUS if sources.is_raspberry_pi() else _passive_trip_celsius(zone)
        return {
            "temperature_celsius": None if millidegrees is None else millidegrees / 1000,
            "temperature_limit_celsius": limit,
        }

    def hold(self, earlier: HealthSnapshot, now: HealthSnapshot) -> str:
        """Until it is well below the limit."""
        del earlier
        found, limit = now.temperature_celsius, now.temperature_limit_celsius
        if found is None or limit is None or found <= limit - MARGIN_CELSIUS:
            return ""
        return f"{found:.0f} degrees Celsius, above {limit - MARGIN_CELSIUS:.0f}"

    def judge(self, runs: TimedRuns) -> str | None:
        """At or above the limit before or after the runs."""
        found = [
            snapshot.temperature_celsius
            for snapshot in (runs.before, runs.after)
            if snapshot.temperature_celsius is not None
        ]
        limit = runs.after.temperature_limit_celsius
        if not found or limit is None:
            return None
        return f"{max(found):.0f} degrees Celsius" if max(found) >= limit else ""


def processor_zone(root: Path) -> Path | None:
    """The first thermal zone of the processor that can be read, else the first of all."""
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    zones.sort(key=lambda zone: not any(name in (read_text(zone / "type") or "") for name in ("cpu", "x86")))
    return next((zone for zone in zones if read_int(zone / "temp") is not None), None)


def _passive_trip_celsius(zone: Path | None) -> float | None:
    if zone is None:
        return None
    found = []
    for kind in zone.glob("trip_point_*_type"):
        millidegrees = read_int(zone / kind.name.replace("_type", "_temp"))
        if read_text(kind) == "passive" and millidegrees is not None and millidegrees > 0:
            found.append(millidegrees / 1000)
    return min(found, default=None)
