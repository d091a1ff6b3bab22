"""A control group whose memory is at an end: the kernel kills what is put into it."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def exhausted_memory(name: str, limit_bytes: int = 1 << 20) -> Iterator[Path]:
    """A group's file of processes: a process whose id is written there gets no more memory.

    For root, with version 1 or 2 of control groups.
    """
    first = (_ROOT / "memory").is_dir()
    group = (_ROOT / "memory" if first else _ROOT) / name
    if not first:
        (_ROOT / "cgroup.subtree_control").write_text("+memory")
    group.mkdir()
    try:
        (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(limit_bytes))
        if not first:
            (group / "memory.swap.max").write_text("0")
        yield group / "cgroup.procs"
    finally:
        deadline = time.monotonic() + 10
        while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        group.rmdir()
