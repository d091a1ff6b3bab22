"""Energy meters: what the board itself, or the processor in it, says it draws.

A meter is polled and adds up joules. Which one is there is found in sysfs, the board's own first:

- a power sensor of the kernel's hardware monitoring on the supply of the board, an INA2xx [hwmon]_;
- RAPL, the energy counters of x86 processors [powercap]_: packages and, where counted apart, their memory.

Where there is none, or nobody but root may read it, there is no figure: energy is never estimated.

References
----------
.. [hwmon] https://docs.kernel.org/hwmon/ina2xx.html
.. [powercap] https://docs.kernel.org/power/powercap/powercap.html
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from hytnas_agent.device.files import ROOT, read_int, read_text
from hytnas_agent.errors import AgentError

_HWMON = "sys/class/hwmon"
_POWERCAP = "sys/class/powercap"
_SENSOR = "ina2"


class Meter(Protocol):
    """Adds up energy from one poll to the next."""

    @property
    def name(self) -> str:
        """Which meter this is."""
        ...

    @property
    def covers(self) -> str:
        """What draws the energy that it counts, in words."""
        ...

    @property
    def joules(self) -> float:
        """Counted since the first poll."""
        ...

    def poll(self, at_s: float) -> None:
        """Read the meter, ``at_s`` being the time on any steady clock; raises MeterLostError."""
        ...


class NoMeterError(AgentError):
    """There is no meter here that could be read."""


class MeterLostError(AgentError):
    """A meter that was there cannot be read any more."""


class PowerSensor:
    """Watts of a sensor, added up by the trapezoidal rule.

    Parameters
    ----------
    power : Path
        Microwatts (``powerN_input``).
    name : str
    """

    covers = "what the sensor is wired to"

    def __init__(self, power: Path, name: str) -> None:
        self.name = name
        self.joules = 0.0
        self._power = power
        self._last: tuple[float, float] | None = None

    def poll(self, at_s: float) -> None:
        """Read the power now."""
        watts = _read(self._power) / 1e6
        if self._last is not None:
            before_s, before_w = self._last
            self.joules += (at_s - before_s) * (before_w + watts) / 2
        self._last = (at_s, watts)


class EnergyCounter:
    """Microjoules of a RAPL zone, a counter that starts again at 0 past ``max_energy_range_uj``.

    It must be polled more than once in the time that takes, which is minutes at the least.
    """

    def __init__(self, zone: Path, name: str) -> None:
        self.name = name
        self.covers = name
        self.joules = 0.0
        self._counter = zone / "energy_uj"
        self._range_uj = read_int(zone / "max_energy_range_uj") or 0
        self._last_uj: int | None = None

    def poll(self, at_s: float) -> None:  # noqa: ARG002 (a counter needs no clock)
        """Read the counter."""
        now_uj = _read(self._counter)
        if self._last_uj is not None:
            step_uj = now_uj - self._last_uj
            self.joules += (step_uj if step_uj >= 0 else step_uj + self._range_uj) / 1e6
        self._last_uj = now_uj


class SummedMeters:
    """Several meters of different parts, as one."""

    def __init__(self, name: str, covers: str, meters: Sequence[Meter]) -> None:
        self.name = name
        self.covers = covers
        self._meters = meters

    @property
    def joules(self) -> float:
        """The sum."""
        return sum(meter.joules for meter in self._meters)

    def poll(self, at_s: float) -> None:
        """Read them all."""
        for meter in self._meters:
            meter.poll(at_s)


def find_meter(root: Path = ROOT) -> Meter:
    """The meter to measure with.

    Raises
    ------
    NoMeterError
        There is none, or it cannot be read; says which were looked for.
    """
    sensors = _power_sensors(root)
    if sensors:
        return sensors[0]
    zones = _rapl_zones(root)
    readable = [zone for zone, _ in zones if read_int(zone / "energy_uj") is not None]
    if zones and len(readable) < len(zones):
        raise NoMeterError(
            "only root may read the energy counters of this processor (RAPL)",
            "Let others read them: sudo chmod a+r /sys/class/powercap/*/energy_uj",
        )
    if zones:
        names = " + ".join(name for _, name in zones)
        return SummedMeters(
            f"RAPL {names}", "the processor, not the board", [EnergyCounter(*zone) for zone in zones]
        )
    raise NoMeterError(
        "this device has no energy meter (neither an INA2xx power sensor nor RAPL)",
        "Wire a sensor such as an INA219 into its supply",
    )


def _power_sensors(root: Path) -> list[PowerSensor]:
    """Those on a supply, with what they are called; power sensors of other chips measure only themselves."""
    sensors = []
    for folder in sorted((root / _HWMON).glob("hwmon*")):
        chip = read_text(folder / "name") or ""
        if not chip.startswith(_SENSOR):
            continue
        for power in sorted(folder.glob("power*_input")):
            label = read_text(folder / power.name.replace("_input", "_label"))
            if read_int(power) is not None:
                sensors.append(PowerSensor(power, f"{chip} {label or folder.name}"))
    return sensors


def _rapl_zones(root: Path) -> list[tuple[Path, str]]:
    """Every package, and memory that is counted apart; other zones are parts of a package."""
    zones = []
    for zone in sorted((root / _POWERCAP).glob("intel-rapl:*")):
        name = read_text(zone / "name") or ""
        if name.startswith("package") or name == "dram":
            zones.append((zone, name))
    return zones


def _read(path: Path) -> int:
    value = read_int(path)
    if value is None:
        raise MeterLostError(f"the energy meter at {path} cannot be read any more")
    return value
