"""What is right and wrong with a device for measuring on it, and what to do about it."""

import os
import platform
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hytnas_agent.core_speed import OWN_QUANTILE, is_fast
from hytnas_agent.device.cgroup import CgroupLimits, cgroup_limits
from hytnas_agent.device.core_watch import CoreWatch, watch_core
from hytnas_agent.device.files import ROOT, meminfo_bytes
from hytnas_agent.device.health import health_snapshot
from hytnas_agent.device.identity import read_hardware
from hytnas_agent.device.probes.clock import is_capped
from hytnas_agent.device.probes.core import BUSY_SHARE
from hytnas_agent.device.probes.temperature import MARGIN_CELSIUS
from hytnas_agent.device.probes.throttling import NOW_BITS, PAST_BITS, said
from hytnas_agent.device.processes import busiest, processor_times
from hytnas_agent.device.sources import Sources
from hytnas_agent.launcher import current_launcher
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import Check, DoctorResult, RuntimeInfo
from hytnas_agent.records import EXECUTION_WORDS, HealthSnapshot
from hytnas_agent.runtimes.registry import RUNTIMES
from hytnas_agent.statistics import median, quantile

HOT_CELSIUS = 70.0
LOOK_S = 0.5
"""How long the doctor watches what runs on the measuring core."""

LOW_DISK_BYTES = 512 * 1024**2
LOW_MEMORY_BYTES = 256 * 1024**2
MANY_STEAL_SHARE = 0.01
SLOW_SHARE = 0.1
MIN_WATCHED = 50
NO_LIMITS = CgroupLimits()
ULIMITS = {
    "seconds of processor time (-t)": resource.RLIMIT_CPU,
    "bytes of address space (-v)": resource.RLIMIT_AS,
    "bytes of data (-d)": resource.RLIMIT_DATA,
}
"""Hard limits of a login that end, or starve, what is measured."""
OF_TIME = {
    "cores",
    "governor",
    "clock",
    "throttling",
    "temperature",
    "swap",
    "load",
    "other processes",
    "core speed",
    "steal time",
}
"""Checks of what disturbs a clock; no count of instructions depends on them."""


def examine(
    state: StateFolder,
    runtimes: Sequence[RuntimeInfo],
    sources: Sources | None = None,
    *,
    cores: Sequence[int] | None = None,
    sleep: Callable[[float], object] = time.sleep,
    watch: Callable[[int], CoreWatch] = watch_core,
) -> DoctorResult:
    """Every check, none of which changes anything: half a second of watching, and a second of work.

    That work is done on the measuring core when the watching is over, lest it be taken for somebody else's.

    ``cores`` are those that measurements may use, where the asking process keeps off some of them.
    """
    sources = sources or Sources()
    allowed = sorted(os.sched_getaffinity(0)) if cores is None else cores
    measuring = allowed[-1:]
    times, earlier = processor_times(sources.root), health_snapshot(measuring, sources)
    sleep(LOOK_S)
    health = health_snapshot(measuring, sources)
    names = busiest(times, processor_times(sources.root))
    root_limits = cgroup_limits(sources.root)
    native = read_hardware(sources.root).execution == "native"
    watched = watch(allowed[-1]) if native else CoreWatch(reason="emulated: a speed says nothing")
    checks = (
        *check_runtimes(runtimes),
        check_architecture(),
        check_execution(sources.root),
        check_cores(allowed),
        check_governor(health),
        check_clock(health),
        check_throttling(health, sources),
        check_temperature(health),
        check_memory(sources.root, root_limits),
        check_swap(health),
        check_load(health),
        check_limits(),
        check_processor_share(root_limits, len(allowed)),
        check_other_processes(earlier, health, names),
        check_core_speed(allowed[-1], watched, root_limits),
        check_steal(sources.root),
        check_disk(state),
    )
    counting = current_launcher().counts
    return DoctorResult(tuple(check for check in checks if not (counting and check.name in OF_TIME)))


def check_runtimes(runtimes: Sequence[RuntimeInfo]) -> list[Check]:
    """Whether at least one runtime works.

    Nothing is said of one that is not installed where another runs the same formats. One without formats is
    offered by a package that is broken.
    """
    usable = [info for info in runtimes if info.usable]
    covered = {model_format for info in usable for model_format in info.formats}
    checks = []
    for info in runtimes:
        if info.usable:
            checks.append(Check(f"runtime {info.name}", "ok", f"{info.version} runs a model"))
        elif info.version or not info.formats or not covered.issuperset(info.formats):
            advice = _advice(info.name)
            name = f"runtime {info.name}"
            checks.append(Check(name, "warn" if usable else "fail", info.reason, advice))
    return checks


def _advice(runtime: str) -> str:
    """How to get a runtime; one that is not bundled comes with the package that offers it."""
    if runtime in RUNTIMES.bundled:
        return f"pip install 'hytnas[{RUNTIMES.get(runtime).extra}]'"
    return "Repair or remove the package that brings it"


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


def check_cores(allowed: Sequence[int]) -> Check:
    """Whether the measured process can have a core to itself."""
    if len(allowed) < 2:
        return Check("cores", "warn", "1 core", "The agent and the system share it with the measured process")
    return Check("cores", "ok", f"{len(allowed)} cores, the last one (core {allowed[-1]}) measures")


def check_governor(health: HealthSnapshot) -> Check:
    """Whether the clock is left to wander."""
    if health.governor is None:
        return Check("governor", "unknown", "no frequency scaling to be seen")
    if health.governor != "performance":
        return Check(
            "governor",
            "warn",
            f"{health.governor}: the clock moves with the load",
            "Pin it with: hytnas-agent tune (it shows what it would do, asks first, and can undo it)",
        )
    return Check("governor", "ok", health.governor)


def check_clock(health: HealthSnapshot) -> Check:
    """Which clock the measuring core has, as the firmware counts it or the kernel says, and its limit."""
    found = health.clock_mhz if health.measured_clock_mhz is None else health.measured_clock_mhz
    if found is None:
        return Check("clock", "unknown", "neither the kernel nor a firmware says")
    of = "" if health.max_clock_mhz is None else f" of {health.max_clock_mhz:.0f} MHz at most"
    said_by = "says the kernel" if health.measured_clock_mhz is None else "counted by the firmware"
    text = f"{found:.0f} MHz{of}, {said_by}; idle now, checked again after every run"
    if not is_capped(health):
        return Check("clock", "ok", text)
    text += f"; the processor can have {health.hardware_max_clock_mhz:.0f} MHz"
    if health.cooling_state:
        return Check("clock", "warn", text, "The kernel limits it for heat: add a heat sink or a fan")
    return Check(
        "clock",
        "warn",
        text,
        "Somebody has limited it (scaling_max_freq). Let it stay so for all measurements, or lift it first",
    )


def check_throttling(health: HealthSnapshot, sources: Sources) -> Check:
    """Whether the firmware or the processor lowers the clock for heat or a weak supply."""
    if health.under_voltage_alarm or health.throttled_bits is not None:
        return _firmware_throttling(health.throttled_bits or 0, alarm=bool(health.under_voltage_alarm))
    if health.throttle_events is not None:
        return Check("throttling", "ok", f"the processor counts {health.throttle_events} events since boot")
    if sources.is_raspberry_pi():
        return Check(
            "throttling",
            "unknown",
            "the firmware does not answer to vcgencmd get_throttled",
            "Install vcgencmd (raspi-utils) and put the user into the group video",
        )
    return Check("throttling", "unknown", "neither a Raspberry Pi's bits nor a processor's counter")


def _firmware_throttling(bits: int, *, alarm: bool) -> Check:
    advice = "Use a stronger power supply and a shorter cable, and cool the board"
    if alarm:
        return Check("throttling", "fail", "now: under voltage (alarm of rpi_volt)", advice)
    if bits & NOW_BITS:
        return Check("throttling", "fail", f"now: {said(bits)} (bits {bits:#x})", advice)
    if bits & PAST_BITS:
        return Check("throttling", "warn", f"earlier: {said(bits >> 16)} (bits {bits:#x})", advice)
    return Check("throttling", "ok", "none now, nor since the firmware's bits were last cleared")


def check_temperature(health: HealthSnapshot) -> Check:
    """Whether the board is near its limit."""
    found, limit = health.temperature_celsius, health.temperature_limit_celsius
    if found is None:
        return Check("temperature", "unknown", "no thermal sensor")
    warm = HOT_CELSIUS if limit is None else limit - MARGIN_CELSIUS
    text = f"{found:.0f} degrees Celsius" + ("" if limit is None else f", it slows down at {limit:.0f}")
    if found > warm:
        return Check("temperature", "warn", text, "Add a heat sink or a fan: runs wait until it is cooler")
    return Check("temperature", "ok", text)


def check_memory(root: Path = ROOT, limits: CgroupLimits = NO_LIMITS) -> Check:
    """Whether there is room for a runtime and a model."""
    available = meminfo_bytes("MemAvailable", root)
    if available is None:
        return Check("memory", "unknown", "/proc/meminfo does not say")
    left = limits.memory_left_bytes
    if left is not None and left < available:
        found = f"{left >> 20} MiB left to this control group, of {available >> 20} MiB available"
        if left < LOW_MEMORY_BYTES:
            return Check("memory", "warn", found, "Raise its limit (MemoryMax of a service, docker -m)")
        return Check("memory", "ok", found)
    found = f"{available >> 20} MiB available"
    if available < LOW_MEMORY_BYTES:
        return Check("memory", "warn", found, "End other programs, a desktop for one")
    return Check("memory", "ok", found)


def check_swap(health: HealthSnapshot) -> Check:
    """Whether memory is being swapped, which makes a latency one of the disk."""
    used = health.swap_used_bytes
    if used is None:
        return Check("swap", "unknown", "/proc/meminfo does not say")
    if used > 0:
        return Check(
            "swap",
            "warn",
            f"{used >> 20} MiB in use",
            "End other programs, then sudo swapoff -a; runs during which pages move are measured again",
        )
    return Check("swap", "ok", "not in use")


def check_load(health: HealthSnapshot) -> Check:
    """Whether something else has been running."""
    if health.load_1min is None:
        return Check("load", "unknown", "/proc/loadavg does not say")
    found = f"{health.load_1min:.2f} over the last minute"
    if health.load_1min > 0.5:
        return Check("load", "warn", found, "Measurements count, too. Else end what is running: see top")
    return Check("load", "ok", found)


def check_processor_share(limits: CgroupLimits, cores: int) -> Check:
    """Whether a control group stops what it measures once it has had its share of a period."""
    if limits.processors is None or limits.processors >= cores:
        return Check("processor quota", "ok", "no control group limits the processor's time")
    found = f"this control group may use the time of {limits.processors:g} of {cores} processors"
    return Check(
        "processor quota",
        "warn",
        found,
        "Whatever uses more is stopped for the rest of each period, measured processes too: take the limit "
        "away (CPUQuota of a service, docker --cpus), or pin the container to whole cores (--cpuset-cpus)",
    )


def check_limits() -> Check:
    """Whether limits of the login (``ulimit``) may end what is measured."""
    found = [
        f"{words}: {hard}"
        for words, limit in ULIMITS.items()
        if (hard := resource.getrlimit(limit)[1]) != resource.RLIM_INFINITY
    ]
    if found:
        advice = "Raise them where processes end before their time: see limits.conf(5), or systemd's Limit..."
        return Check("limits", "warn", "; ".join(found), advice)
    return Check("limits", "ok", "neither processor time nor memory is limited (ulimit)")


def check_other_processes(earlier: HealthSnapshot, health: HealthSnapshot, names: Sequence[str]) -> Check:
    """Whether somebody else works on the measuring core now, and what works most anywhere."""
    if earlier.core_busy_s is None or health.core_busy_s is None or not health.cores:
        return Check("other processes", "unknown", "/proc/stat does not say")
    assert earlier.monotonic_s is not None
    assert health.monotonic_s is not None
    passed_s = max(health.monotonic_s - earlier.monotonic_s, 1e-9)
    share = min(1.0, (health.core_busy_s - earlier.core_busy_s) / passed_s)
    found = f"core {health.cores[0]} is {share:.0%} busy" + (
        f"; at work: {', '.join(names)}" if names else ""
    )
    if share > BUSY_SHARE:
        advice = "End them, or move them off the core: taskset -cp 0 PID. Disturbed runs are measured again"
        return Check("other processes", "warn", found, advice)
    return Check("other processes", "ok", found)


def check_core_speed(core: int, watched: CoreWatch, limits: CgroupLimits = NO_LIMITS) -> Check:
    """Whether the measuring core keeps its speed for a second, or somebody whom no counter shows has a part.

    What the work takes is counted, not added up: one that waited for another process says little of the core.
    """
    durations_us = sorted(watched.durations_us)
    many = len(durations_us)
    if watched.reason or many < MIN_WATCHED:
        found = watched.reason or f"the work was done {many} times in a second, {MIN_WATCHED} are the least"
        return Check("core speed", "unknown", found)
    best_us = quantile(durations_us, OWN_QUANTILE)
    slow_us = [each for each in durations_us if not is_fast(each, best_us)]
    if len(slow_us) > SLOW_SHARE * many:
        slower, share = median(slow_us) / best_us - 1, len(slow_us) / many
        if limits.processors is not None and limits.processors < 1:
            found = f"core {core} was {slower:.0%} slower than at best for {share:.0%} of a second"
            return Check("core speed", "warn", found, "The processor quota of this control group does that")
        return Check(
            "core speed",
            "warn",
            f"core {core} was {slower:.0%} slower than at best for {share:.0%} of a second",
            "Unless a line above says why, somebody shares its hardware, as another virtual machine on the "
            "same physical core: nothing on this device shows or can stop that. Runs beside it are left out "
            "or measured again, which takes longer",
        )
    within = durations_us[-1 - int(SLOW_SHARE * many)] / best_us - 1
    found = f"core {core} keeps its speed: within {within:.0%} of its best for nine tenths of a second"
    return Check("core speed", "ok", found)


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
