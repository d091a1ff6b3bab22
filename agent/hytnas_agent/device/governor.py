"""The frequency governor: pinned while the device is held, and put back as it was found, whatever happens.

What was found is written to a file of the state folder before anything is changed. Whoever comes next, after
a SIGKILL or a power cut, finds it there and puts it back.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from hytnas_agent.device.files import ROOT, read_text
from hytnas_agent.errors import AgentError
from hytnas_agent.lease import DeviceLease
from hytnas_agent.protocol import RpcError
from hytnas_agent.regular_file import open_regular
from hytnas_agent.whole_file import write_whole

PINNED: Final = "performance"
MAX_FILE_BYTES: Final = 64 * 1024
_CORES: Final = "sys/devices/system/cpu"
_NAME: Final = re.compile(r"cpu[0-9]{1,4}")
_GOVERNOR: Final = re.compile(r"[a-z_]{1,32}")

Write = Callable[[Path, str], None]
"""Writes a governor to its file; raises OSError where that is not permitted."""


class FoundGovernors(msgspec.Struct, frozen=True):
    """The governors before they were pinned, by core, and the boot in which that was: each boot sets them."""

    boot_id: str
    governors: dict[str, str]


def governors(root: Path = ROOT) -> dict[str, str]:
    """The governor of each core that has one, by the core's name, such as ``cpu0``."""
    files = (root / _CORES).glob("cpu[0-9]*/cpufreq/scaling_governor")
    found = {file.parent.parent.name: read_text(file) for file in files}
    return {core: value for core, value in sorted(found.items()) if value is not None}


def governor_file(core: str, root: Path = ROOT) -> Path:
    """Where the core's governor is set."""
    return root / _CORES / core / "cpufreq/scaling_governor"


def write_directly(path: Path, governor: str) -> None:
    """Set it as this user; raises OSError where that is not permitted."""
    with path.open("w") as file:  # sysfs: the file is there and takes one write
        file.write(governor)


class PinnedGovernors:
    """The governors of this device, pinned or as they were found.

    Parameters
    ----------
    memory : Path
        The file that remembers what was found.
    root : Path
    write : callable
    """

    def __init__(self, memory: Path, root: Path = ROOT, write: Write = write_directly) -> None:
        self._memory, self._root, self._write = memory, root, write

    @property
    def found(self) -> dict[str, str]:
        """What the pinned cores had before, by core; empty where nothing is pinned."""
        remembered = self._remembered()
        return {} if remembered is None else remembered.governors

    def to_pin(self) -> dict[str, str]:
        """The cores whose governor is another and that can have the pinned one, with what they have."""
        return {
            core: value
            for core, value in governors(self._root).items()
            if value != PINNED and PINNED in self._available(core)
        }

    def pin(self) -> list[str]:
        """Pin what is permitted; the cores that now are. What was found first stays remembered.

        Raises
        ------
        AgentError
            If what was found cannot be remembered; then nothing is changed.
        """
        wanted = {core: value for core, value in self.to_pin().items() if self._permitted(core)}
        if not wanted:
            return []
        self._remember(wanted | self.found)
        pinned = []
        for core in wanted:
            with contextlib.suppress(OSError):
                self._write(governor_file(core, self._root), PINNED)
                pinned.append(core)
        return pinned

    def restore(self) -> list[str]:
        """Put back what was found, except where somebody has set another meanwhile; the cores that were.

        What is not permitted stays remembered.
        """
        remembered = self.found
        present = governors(self._root)
        restored, left = [], {}
        for core, value in remembered.items():
            if present.get(core) != PINNED:
                continue
            try:
                self._write(governor_file(core, self._root), value)
                restored.append(core)
            except OSError:
                left[core] = value
        with contextlib.suppress(OSError, AgentError):
            if left:
                self._remember(left)
            else:
                self._memory.unlink(missing_ok=True)
        return restored

    def _available(self, core: str) -> list[str]:
        folder = governor_file(core, self._root).parent
        return (read_text(folder / "scaling_available_governors") or "").split()

    def _permitted(self, core: str) -> bool:
        """Whether trying makes sense: another way of writing than this user's is not judged beforehand."""
        return self._write is not write_directly or os.access(governor_file(core, self._root), os.W_OK)

    def _boot_id(self) -> str:
        return read_text(self._root / "proc/sys/kernel/random/boot_id") or ""

    def _remembered(self) -> FoundGovernors | None:
        try:
            with open_regular(self._memory) as file:
                remembered = msgspec.json.decode(file.read(MAX_FILE_BYTES), type=FoundGovernors)
        except (OSError, ValueError):
            return None
        sane = all(
            _NAME.fullmatch(core) and _GOVERNOR.fullmatch(value)
            for core, value in remembered.governors.items()
        )
        return remembered if sane and remembered.boot_id == self._boot_id() else None

    def _remember(self, found: dict[str, str]) -> None:
        try:
            write_whole(self._memory, msgspec.json.encode(FoundGovernors(self._boot_id(), found)))
        except OSError as error:
            raise AgentError(
                f"{self._memory} cannot be written: {error.strerror}", "Free some space on the device"
            ) from error


@contextlib.contextmanager
def pinned_while(held: PinnedGovernors) -> Iterator[None]:
    """Pin what is permitted within the context."""
    held.pin()
    try:
        yield
    finally:
        held.restore()


def restore_leftovers(held: PinnedGovernors, lease: DeviceLease) -> None:
    """Put back what an agent that was killed has left pinned, unless somebody measures: he does it then.

    Where it cannot be done now, as on a full disk, it stays remembered: a server is to start all the same.
    """
    if not held.found:
        return
    with contextlib.suppress(RpcError, AgentError):
        lease.acquire("hytnas-agent", "putting back the clock's governor", os.getpid())
        try:
            held.restore()
        finally:
            lease.release()
