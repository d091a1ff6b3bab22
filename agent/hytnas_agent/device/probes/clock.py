"""Which clock the measuring core really had, and who sets or limits it.

The kernel's limit falls where it cools the processor, and where a person sets it. The first disturbs, also
where it lasts; the second is how the device is, as long as it stays.

A Raspberry Pi's firmware may lower the clock behind the kernel, whose files go on telling what it asked for.
There they can accuse and cannot acquit: without the firmware's count the clock is unknown.

References
----------
.. [linux] https://docs.kernel.org/admin-guide/pm/cpufreq.html: ``scaling_cur_freq`` is what the driver asked
   for or, on some processors, what the core reached; ``scaling_max_freq`` is what the policy allows
   now, thermal cooling included, ``cpuinfo_max_freq`` what the processor can.
.. [cooling] https://docs.kernel.org/driver-api/thermal/sysfs-api.html: a cooling device's ``cur_state`` is 0
   while it does nothing; those of processors are called ``cpufreq-...``, ``thermal-cpufreq-...`` or
   ``Processor``.
.. [rpi] https://www.raspberrypi.com/documentation/computers/os.html#vcgencmd: ``measure_clock arm`` counts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from hytnas_agent.device.files import ROOT, read_int, read_text
from hytnas_agent.device.probes.base import Probe, TimedRuns
from hytnas_agent.device.sources import Sources
from hytnas_agent.records import HealthSnapshot

CLOCK_DROP: Final = 0.05
CPUFREQ: Final = "sys/devices/system/cpu/cpu{core}/cpufreq"
COOLING_TYPES: Final = ("cpufreq-", "thermal-cpufreq-", "Processor")


class Clock(Probe):
    """Frequency scaling of the first measuring core, and the clock that a Raspberry Pi's firmware counts."""

    name = "clock"

    def read(self, sources: Sources, cores: Sequence[int]) -> dict[str, Any]:
        """The clock, its limits, and who sets them: clocks in MHz, governor, cooling state, firmware."""
        folder = sources.root / CPUFREQ.format(core=cores[0])
        return {
            "clock_mhz": _mhz(folder / "scaling_cur_freq"),
            "max_clock_mhz": _mhz(folder / "scaling_max_freq"),
            "hardware_max_clock_mhz": _mhz(folder / "cpuinfo_max_freq"),
            "cooling_state": _cooling_state(sources.root),
            "measured_clock_mhz": _firmware_mhz(sources),
            "firmware_sets_clock": sources.is_raspberry_pi() or None,
            "governor": read_text(folder / "scaling_governor"),
        }

    def judge(self, runs: TimedRuns) -> str | None:
        """A governor or limit that was changed, cooling, a clock that fell or that a board did not reach."""
        before, after = runs.before, runs.after
        if before.governor != after.governor:
            return f"the governor was changed ({before.governor} -> {after.governor})"
        if limited := _limited(before, after):
            return limited
        if after.measured_clock_mhz is not None and after.max_clock_mhz is not None:
            fell = after.measured_clock_mhz < (1 - CLOCK_DROP) * after.max_clock_mhz
            return _fell(after.max_clock_mhz, after.measured_clock_mhz) if fell else ""
        if before.clock_mhz is None or after.clock_mhz is None:
            return None
        if after.clock_mhz < (1 - CLOCK_DROP) * before.clock_mhz:
            return _fell(before.clock_mhz, after.clock_mhz)
        return None if after.firmware_sets_clock else ""


def is_capped(snapshot: HealthSnapshot) -> bool:
    """Whether the kernel allows less than the processor can, whoever asked for that."""
    allowed, possible = snapshot.max_clock_mhz, snapshot.hardware_max_clock_mhz
    return allowed is not None and possible is not None and allowed < (1 - CLOCK_DROP) * possible


def _limited(before: HealthSnapshot, after: HealthSnapshot) -> str:
    """What the kernel did to the clock's limit during the runs, or does to it for heat."""
    was, now = before.max_clock_mhz, after.max_clock_mhz
    if was is not None and now is not None and min(was, now) < (1 - CLOCK_DROP) * max(was, now):
        return f"the clock's limit was changed ({was:.0f} -> {now:.0f} MHz)"
    cooled = any(is_capped(snapshot) and snapshot.cooling_state for snapshot in (before, after))
    return f"the kernel holds the clock at {now:.0f} MHz for heat" if cooled and now is not None else ""


def governor(core: int = 0, root: Path = ROOT) -> str | None:
    """The frequency governor of the core, or None without frequency scaling."""
    return read_text(root / CPUFREQ.format(core=core) / "scaling_governor")


def _fell(expected_mhz: float, found_mhz: float) -> str:
    return f"the clock fell to {found_mhz:.0f} MHz of {expected_mhz:.0f}"


def _mhz(path: Path) -> float | None:
    kilohertz = read_int(path)
    return None if kilohertz is None else kilohertz / 1000


def _cooling_state(root: Path) -> int | None:
    """The highest state of a device that cools by lowering a processor's clock; None where there is none."""
    states = [
        read_int(folder / "cur_state")
        for folder in (root / "sys/class/thermal").glob("cooling_device*")
        if (read_text(folder / "type") or "").startswith(COOLING_TYPES)
    ]
    return max((state for state in states if state is not None), default=None)


def _firmware_mhz(sources: Sources) -> float | None:
    """From an answer such as ``frequency(48)=1200002000``, in hertz."""
    hertz = (sources.ask_firmware("measure_clock arm") or "").partition("=")[2]
    return int(hertz) / 1e6 if hertz.isdigit() else None
