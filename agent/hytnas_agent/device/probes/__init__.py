"""The probes of what can disturb a measurement, one small module each, all behind `Probe`."""

from typing import Final

from hytnas_agent.device.probes.base import Probe, TimedRuns
from hytnas_agent.device.probes.clock import Clock, governor
from hytnas_agent.device.probes.core import Load, OtherProcesses, Steal
from hytnas_agent.device.probes.speed import Speed
from hytnas_agent.device.probes.swap import Swap
from hytnas_agent.device.probes.temperature import Temperature
from hytnas_agent.device.probes.throttling import Throttling

PROBES: Final[tuple[Probe, ...]] = (
    Throttling(),
    Temperature(),
    Clock(),
    Swap(),
    OtherProcesses(),
    Steal(),
    Speed(),
    Load(),
)
"""In the order in which a verdict names them."""

__all__ = ["PROBES", "Probe", "TimedRuns", "governor"]
