"""What is right and wrong with a device for measuring on it, and what to do about it."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from hytnas_agent.device.files import ROOT, meminfo_bytes
from hytnas_agent.device.health import (
    governor,
    is_raspberry_pi,
    load_1min,
    temperature_celsius,
    throttled_bits,
    under_voltage_alarm,
)
from hytnas_agent.device.identity import read_hardware
from hytnas_agent.launcher import current_launcher
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import Check, DoctorResult, RuntimeInfo
from hytnas_agent.records import EXECUTION_WORDS
from hytnas_agent.runtimes.base import RUNTIMES

HOT_CELSIUS = 70.0
LOW_DISK_BYTES = 512 * 1024**2
LOW_MEMORY_BYTES = 256 * 1024**2
MANY_STEAL_SHARE = 0.01
OF_TIME = {"cores", "governor", "throttling", "temperature", "swap", "load", "steal time"}
"""Checks of what disturbs a clock; no count of instructions depends on them."""


def examine(
    state: StateFolder, runtimes: Sequence[RuntimeInfo], root: Path = ROOT, *, cores: int | None = None
) -> DoctorResult:
    """Every check, none of which changes anything.

    ``cores`` is how many measurements may use, where the asking process keeps off some of them.
    """
    checks = (
        *check_runtimes(runtimes),
        check_architecture(),
        check_execution(root),
        check_cores(len(os.sched_getaffinity(0)) if cores is None else cores),
        check_governor(root),
        check_throttling(root),
        check_temperature(root),
        check_memory(root),
        check_swap(root),
        check_load(root),
        check_steal(root),
        check_disk(state),
    )
    counting = current_launcher().counts
    return DoctorResult(tuple(check for check in checks if not (counting and check.name in OF_TIME)))


def check_runtimes(runtimes: Sequence[RuntimeInfo]) -> list[Check]:
    """Whether at least one runtime works."""
    any_usable = any(info.usable for info in runtimes)
    checks = []
    for info in runtimes:
        if info.usable:
            checks.append(Check(f"runtime {info.name}", "ok", f"{info.version} runs a model"))
        else:
            advice = f"pip install 'hytnas[{RUNTIMES[info.name].extra}]'"
            name = f"runtime {info.name}"
            checks.append(Check(name, "warn" if any_usable else "fail", info.reason, advice))
    return checks


def check_architecture() -> Check:
    """Whether wheels of the runtimes exist for this processor and userland."""
    machine, wide = platform.machine(), platform.architecture()[0]
    if wide != "64bit":
        return Check("architecture", "fail", f"{machine}, {wide}", "Install a 64-bit operating system")
    return Check("architecture", "ok", f"{machine}, Python {platform.python_version()}")


def check_execution(root: Path = ROOT) -> Check:
    """Whether latencies are those of a processor, and whether others share it."""
    hardware = read_hardware(root)
    if hardware.execution != "native":
        return Check(
            "processor",
            "warn",
            f"{hardware.cpu_model}; latencies: {EXECUTION_WORDS[hardware.execution]}",
            "Latencies from here are labelled so and say nothing about the board itself",
        )
    if hardware.virtualisation:
        return Check(
            "processor",
            "warn",
            f"{hardware.cpu_model} in a {hardware.virtualisation}",
            "Neighbours on the same host may disturb the measurement: watch steal time",
        )
    return Check("processor", "ok", hardware.cpu_model)


def check_cores(allowed: int) -> Check:
    """Whether the measured process can have a core to itself."""
    if allowed < 2:
        return Check("cores", "warn", "1 core", "The agent and the system share it with the measured process")
    return Check("cores", "ok", f"{allowed} cores, the last one measures")


def check_governor(root: Path = ROOT) -> Check:
    """Whether the clock is left to wander."""
    found = governor(0, root)
    if found is None:
        return Check("governor", "unknown", "no frequency scaling to be seen")
    if found != "performance":
        return Check(
            "governor",
            "warn",
            found,
            "Set it to performance: echo performance | "
            "sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        )
    return Check("governor", "ok", found)


def check_throttling(root: Path = ROOT) -> Check:
    """Whether the firmware lowers the clock for heat or a weak supply."""
    bits = throttled_bits(root)
    if bits is None:
        why = "the firmware does not answer" if is_raspberry_pi(root) else "not a Raspberry Pi"
        return Check("throttling", "unknown", why)
    advice = "Use a stronger power supply and a shorter cable, and cool the board"
    if bits & 0xF or under_voltage_alarm(root):
        return Check("throttling", "fail", f"now (bits {bits:#x})", advice)
    if bits & 0xF0000:
        return Check("throttling", "warn", f"since boot (bits {bits:#x})", advice)
    return Check("throttling", "ok", "none since boot")


def check_temperature(root: Path = ROOT) -> Check:
    """Whether the board is near its limit."""
    found = temperature_celsius(root)
    if found is None:
        return Check("temperature", "unknown", "no thermal sensor")
    if found > HOT_CELSIUS:
        return Check("temperature", "warn", f"{found:.0f} degrees Celsius", "Add a heat sink or a fan")
    return Check("temperature", "ok", f"{found:.0f} degrees Celsius")


def check_memory(root: Path = ROOT) -> Check:
    """Whether there is room for a runtime and a model."""
    available = meminfo_bytes("MemAvailable", root)
    if available is None:
        return Check("memory", "unknown", "/proc/meminfo does not say")
    found = f"{available >> 20} MiB available"
    if available < LOW_MEMORY_BYTES:
        return Check("memory", "warn", found, "End other programs, a desktop for one")
    return Check("memory", "ok", found)


def check_swap(root: Path = ROOT) -> Check:
    """Whether memory is being swapped, which makes a latency one of the disk."""
    total, free = meminfo_bytes("SwapTotal", root), meminfo_bytes("SwapFree", root)
    if total is None or free is None:
        return Check("swap", "unknown", "/proc/meminfo does not say")
    if total > free:
        return Check("swap", "warn", f"{total - free >> 20} MiB in use", "End other programs, swapoff -a")
    return Check("swap", "ok", "not in use")


def check_load(root: Path = ROOT) -> Check:
    """Whether something else is running."""
    found = load_1min(root)
    if found is None:
        return Check("load", "unknown", "/proc/loadavg does not say")
    if found > 0.5:
        return Check("load", "warn", f"{found:.2f} over the last minute", "End what else is running: see top")
    return Check("load", "ok", f"{found:.2f} over the last minute")


def check_steal(root: Path = ROOT) -> Check:
    """How much of the processor a hypervisor gave to others since boot."""
    try:
        first_line = (root / "proc/stat").read_text().partition("\n")[0]
        ticks = [int(value) for value in first_line.split()[1:9]]
        share = ticks[7] / (sum(ticks) or 1)
    except (OSError, ValueError, IndexError):
        return Check("steal time", "unknown", "/proc/stat does not say")
    if share > MANY_STEAL_SHARE:
        return Check(
            "steal time", "warn", f"{share:.1%} since boot", "The host is shared: expect disturbed runs"
        )
    return Check("steal time", "ok", f"{share:.2%} since boot")


def check_disk(state: StateFolder) -> Check:
    """Whether models and results still fit."""
    status = os.statvfs(state.root)
    free = status.f_bavail * status.f_frsize
    found = f"{free >> 20} MiB free in {state.root}"
    if free < LOW_DISK_BYTES:
        return Check("disk", "warn", found, "Free some space, or move the state folder with --state")
    return Check("disk", "ok", found)
