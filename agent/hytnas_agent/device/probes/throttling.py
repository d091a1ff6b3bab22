"""Whether the firmware or the processor lowers the clock, for heat or a weak supply.

A Raspberry Pi's firmware itself is asked. The kernel's file of the same name is a copy from when a driver of
the kernel last asked: with the driver of ``rpi_volt`` some two seconds old, without it from boot. It can
accuse and cannot acquit. That driver also has the firmware clear the bits of the past each time, so that
they tell of less than the time since boot.

References
----------
.. [rpi] https://www.raspberrypi.com/documentation/computers/os.html#get_throttled: bits 0 to 3 are now (under
   voltage, frequency capped, throttled, soft temperature limit), 16 to 19 the same in the past.
.. [kernel] https://github.com/raspberrypi/linux, ``drivers/firmware/raspberrypi.c`` (``get_throttled_show``)
   and ``drivers/hwmon/raspberrypi-hwmon.c``.
.. [linux] https://docs.kernel.org/admin-guide/thermal/intel_thermal_throttle.html, ``core_throttle_count``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from hytnas_agent.device.files import read_int, read_text
from hytnas_agent.device.probes.base import Probe, TimedRuns
from hytnas_agent.device.sources import Sources
from hytnas_agent.records import HealthSnapshot

NOW_BITS: Final = 0xF
PAST_BITS: Final = 0xF0000
WORDS: Final = ("under voltage", "clock capped", "throttled", "soft temperature limit")
FIRMWARE_COPY: Final = "sys/devices/platform/soc/soc:firmware/get_throttled"


class Throttling(Probe):
    """The firmware's bits and the low-voltage alarm of a Raspberry Pi, the counter of an Intel processor."""

    name = "throttling"
    patience_s = 120.0

    def read(self, sources: Sources, cores: Sequence[int]) -> dict[str, Any]:
        """``throttled_bits``, ``under_voltage_alarm`` and ``throttle_events``."""
        counts = [
            read_int(sources.root / f"sys/devices/system/cpu/cpu{core}/thermal_throttle/core_throttle_count")
            for core in cores
        ]
        known = [count for count in counts if count is not None]
        return {
            "throttled_bits": _throttled_bits(sources),
            "under_voltage_alarm": _under_voltage_alarm(sources.root),
            "throttle_events": sum(known) if known else None,
        }

    def hold(self, earlier: HealthSnapshot, now: HealthSnapshot) -> str:
        """While the clock is lowered or the voltage low."""
        del earlier
        if (now.throttled_bits or 0) & NOW_BITS:
            return said(now.throttled_bits or 0)
        return "under voltage (rpi_volt)" if now.under_voltage_alarm else ""

    def judge(self, runs: TimedRuns) -> str | None:
        """Any bit of now before or after the runs, any of the past that they have added."""
        before, after = runs.before, runs.after
        if before.under_voltage_alarm or after.under_voltage_alarm:
            return "under voltage (rpi_volt)"
        bits = (before.throttled_bits or 0) | (after.throttled_bits or 0)
        known = before.throttled_bits is not None and after.throttled_bits is not None
        added = (after.throttled_bits or 0) & ~(before.throttled_bits or 0) & PAST_BITS if known else 0
        if known or bits & NOW_BITS:
            return said(bits & NOW_BITS | added >> 16)
        if before.throttle_events is not None and after.throttle_events is not None:
            events = after.throttle_events - before.throttle_events
            return f"the processor throttled {events} times" if events > 0 else ""
        return None


def said(bits: int) -> str:
    """The names of the bits of now that are set, as one phrase; empty if none is."""
    return ", ".join(word for place, word in enumerate(WORDS) if bits >> place & 1)


def _throttled_bits(sources: Sources) -> int | None:
    """The firmware's answer; else the kernel's copy, but only where that says that something is wrong now."""
    if not sources.is_raspberry_pi():
        return None
    try:
        return int((sources.ask_firmware("get_throttled") or "").removeprefix("throttled="), 16)
    except ValueError:
        copy = read_int(sources.root / FIRMWARE_COPY, 16)
        return copy if copy is not None and copy & NOW_BITS else None


def _under_voltage_alarm(root: Path) -> bool | None:
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if read_text(folder / "name") == "rpi_volt":
            alarm = read_int(folder / "in0_lcrit_alarm")
            return None if alarm is None else alarm != 0
    return None
