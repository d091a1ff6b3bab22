"""The state of the board at one moment. A probe that is absent answers None: unknown, never healthy."""

import subprocess
import time
from pathlib import Path

from hytnas_agent.device.files import ROOT, read_counters, read_device_tree, read_int, read_text
from hytnas_agent.records import HealthSnapshot

VCGENCMD = "/usr/bin/vcgencmd"
_CPUFREQ = "sys/devices/system/cpu/cpu{core}/cpufreq"


def health_snapshot(core: int = 0, root: Path = ROOT) -> HealthSnapshot:
    """What can be read about the board's state now; clock and governor are those of ``core``."""
    return HealthSnapshot(
        at_unix_s=time.time(),
        throttled_bits=throttled_bits(root),
        under_voltage_alarm=under_voltage_alarm(root),
        temperature_celsius=temperature_celsius(root),
        clock_mhz=clock_mhz(core, root),
        governor=governor(core, root),
        load_1min=load_1min(root),
        swapped_pages=swapped_pages(root),
        steal_ticks=steal_ticks(root),
    )


def is_raspberry_pi(root: Path = ROOT) -> bool:
    """Whether the device tree names a Raspberry Pi."""
    return "Raspberry Pi" in (read_device_tree("model", root) or "")


def throttled_bits(root: Path = ROOT) -> int | None:
    """The firmware's throttling bits: 0-3 now, 16-19 since boot. Only a Raspberry Pi has them.

    See https://www.raspberrypi.com/documentation/computers/os.html#get_throttled.
    """
    if not is_raspberry_pi(root):
        return None
    bits = read_int(root / "sys/devices/platform/soc/soc:firmware/get_throttled", 16)
    if bits is not None or root != ROOT:
        return bits
    try:
        answer = subprocess.run(
            [VCGENCMD, "get_throttled"], capture_output=True, text=True, timeout=5, check=True
        ).stdout
        return int(answer.strip().removeprefix("throttled="), 16)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def under_voltage_alarm(root: Path = ROOT) -> bool | None:
    """The low-voltage alarm of the hwmon driver ``rpi_volt``, or None without one."""
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if read_text(folder / "name") == "rpi_volt":
            alarm = read_int(folder / "in0_lcrit_alarm")
            return None if alarm is None else alarm != 0
    return None


def temperature_celsius(root: Path = ROOT) -> float | None:
    """The first thermal zone of the processor, else the first of all, or None without any."""
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    zones.sort(key=lambda zone: "cpu" not in (read_text(zone / "type") or ""))
    for zone in zones:
        millidegrees = read_int(zone / "temp")
        if millidegrees is not None:
            return millidegrees / 1000
    return None


def clock_mhz(core: int = 0, root: Path = ROOT) -> float | None:
    """The clock the kernel says the core runs at, or None without frequency scaling."""
    kilohertz = read_int(root / _CPUFREQ.format(core=core) / "scaling_cur_freq")
    return None if kilohertz is None else kilohertz / 1000


def governor(core: int = 0, root: Path = ROOT) -> str | None:
    """The frequency governor of the core, or None without frequency scaling."""
    return read_text(root / _CPUFREQ.format(core=core) / "scaling_governor")


def load_1min(root: Path = ROOT) -> float | None:
    """The load average over one minute."""
    try:
        return float((read_text(root / "proc/loadavg") or "").split()[0])
    except (IndexError, ValueError):
        return None


def swapped_pages(root: Path = ROOT) -> int | None:
    """Pages swapped in and out since boot."""
    counters = read_counters(root / "proc/vmstat")
    if "pswpin" not in counters:
        return None
    return counters["pswpin"] + counters.get("pswpout", 0)


def steal_ticks(root: Path = ROOT) -> int | None:
    """Clock ticks since boot that a hypervisor gave to others, all cores together: proc_stat(5)."""
    fields = (read_text(root / "proc/stat") or "").partition("\n")[0].split()
    return int(fields[8]) if len(fields) > 8 and fields[0] == "cpu" else None
