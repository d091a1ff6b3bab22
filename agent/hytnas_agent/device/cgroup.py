"""What the control groups of this process let it use, versions 1 and 2 (cgroups(7)).

A container, or a systemd service with CPUQuota or MemoryMax, has less than /proc says.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hytnas_agent.device.files import ROOT, read_counters, read_int, read_text


@dataclass(frozen=True)
class CgroupLimits:
    """The tightest limits of the group and of those above it; ``None`` where there is none.

    Attributes
    ----------
    processors : float or None
        How many processors' time it may use.
    memory_left_bytes : int or None
        How much more memory it may take.
    """

    processors: float | None = None
    memory_left_bytes: int | None = None


def cgroup_limits(root: Path = ROOT) -> CgroupLimits:
    """The limits of this process's control groups, as ``/proc/self/cgroup`` and ``/sys/fs/cgroup`` say."""
    processors: list[float] = []
    memory: list[int] = []
    for folder in _folders(root, "cpu"):
        quota, period = _quota(folder)
        if quota is not None and period:
            processors.append(quota / period)
    for folder in _folders(root, "memory"):
        for limit_name, used_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, used = read_int(folder / limit_name), read_int(folder / used_name)
            if limit is not None and used is not None and limit < 1 << 60:  # version 1 writes no limit so
                memory.append(max(limit - used + _reclaimable(folder), 0))
    return CgroupLimits(min(processors, default=None), min(memory, default=None))


def _reclaimable(folder: Path) -> int:
    """Bytes of files in memory that the kernel drops where memory is wanted; MemAvailable has them, too."""
    counters = read_counters(folder / "memory.stat")  # version 1 sums up the groups below as total_...
    return sum(
        counters.get(f"total_{name}", counters.get(name, 0)) for name in ("inactive_file", "active_file")
    )


def _quota(folder: Path) -> tuple[int | None, int | None]:
    """Microseconds of processor time in a period, and the period."""
    quota, _, period = (read_text(folder / "cpu.max") or "").partition(" ")
    if quota.isdigit() and period.isdigit():
        return int(quota), int(period)
    old = read_int(folder / "cpu.cfs_quota_us")
    return (old if old is not None and old > 0 else None), read_int(folder / "cpu.cfs_period_us")


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the process's group and of those above it, for a controller of either version.

    In a container the path is that of the host, which is not there: its own group is then the root.
    """
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number != "0" and controller not in controllers.split(","):
            continue
        tops = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"]
        if number != "0":
            tops = [root / "sys/fs/cgroup" / name for name in (controllers, controller)]
        parts = [part for part in path.split("/") if part not in {"", ".", ".."}]
        for top in tops:
            yield from (top.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1))
