"""Which clock the measuring core really had, and who sets it.

References
----------
.. [linux] https://docs.kernel.org/admin-guide/pm/cpufreq.html: ``scaling_cur_freq`` is what the driver asked
   for or, on some processors, what the core reached; ``scaling_max_freq`` is what the policy allows.
.. [rpi] https://www.raspberrypi.com/documentation/computers/os.html#vcgencmd: ``measure_clock arm`` counts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from hytnas_agent.device.files import ROOT, read_int, read_text
from hytnas_agent.device.probes.base import Probe, TimedRuns
from hytnas_agent.device.sources import Sources

CLOCK_DROP: Final = 0.05
CPUFREQ: Final = "sys/devices/system/cpu/cpu{core}/cpufreq"


class Clock(Probe):
    """Frequency scaling of the first measuring core, and the clock that a Raspberry Pi's firmware counts."""

    name = "clock"

    def read(self, sources: Sources, cores: Sequence[int]) -> dict[str, Any]:
        """``clock_mhz``, ``max_clock_mhz``, ``measured_clock_mhz`` and ``governor``."""
        folder = sources.root / CPUFREQ.format(core=cores[0])
        return {
            "clock_mhz": _mhz(folder / "scaling_cur_freq"),
            "max_clock_mhz": _mhz(folder / "scaling_max_freq"),
            "measured_clock_mhz": _firmware_mhz(sources),
            "governor": read_text(folder / "scaling_governor"),
        }

    def judge(self, runs: TimedRuns) -> str | None:
        """A governor that was changed, a clock that fell, one that a fixed-clock board did not reach."""
        before, after = runs.before, runs.after
        if before.governor != after.governor:
            return f"the governor was changed ({before.governor} -> {after.governor})"
        if after.measured_clock_mhz is not None and after.max_clock_mhz is not None:
            fell = after.measured_clock_mhz < (1 - CLOCK_DROP) * after.max_clock_mhz
            return _fell(after.max_clock_mhz, after.measured_clock_mhz) if fell else ""
        if before.clock_mhz is None or after.clock_mhz is None:
            return None
        fell = after.clock_mhz < (1 - CLOCK_DROP) * before.clock_mhz
        return _fell(before.clock_mhz, after.clock_mhz) if fell else ""


def governor(core: int = 0, root: Path = ROOT) -> str | None:
    """The frequency governor of the core, or None without frequency scaling."""
    return read_text(root / CPUFREQ.format(core=core) / "scaling_governor")


def _fell(expected_mhz: float, found_mhz: float) -> str:
    return f"the clock fell to {found_mhz:.0f} MHz of {expected_mhz:.0f}"


def _mhz(path: Path) -> float | None:
    kilohertz = read_int(path)
    return None if kilohertz is None else kilohertz / 1000


def _firmware_mhz(sources: Sources) -> float | None:
    """From an answer such as ``frequency(48)=1200002000``, in hertz."""
    hertz = (sources.ask_firmware("measure_clock arm") or "").partition("=")[2]
    return int(hertz) / 1e6 if hertz.isdigit() else None
