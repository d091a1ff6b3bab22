"""A program that disturbs: it copies memory without pause on one core, all the time or part of it.

It runs on the device, this machine or a board, on nothing but Python's standard library. Asked by a line, it
says how long it held its core so far. It ends when its standard input does, which the kernel (or sshd) sees
to however its owner dies, and after ``life_s`` in any case.
"""

import contextlib
import json
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from hytnas_host.devices.inventory import Inventory
from hytnas_host.devices.ssh.client import SshClient
from hytnas_host.devices.transport import Connection, PipeConnection

LIFE_S = 3600.0
RENEW_S = LIFE_S - 900.0
"""At this age another is to take its place, before a process that it might not outlive."""

ANSWER_LIMIT_BYTES = 4096

PROGRAM = """
import json, os, random, select, sys, time
begin = time.monotonic()
core, seed = int(sys.argv[1]), int(sys.argv[2])
busy_s, idle_s, life_s = (float(each) for each in sys.argv[3:])
os.sched_setaffinity(0, {core})
draw = random.Random(seed).expovariate
source, target = bytearray(1 << 22), bytearray(1 << 22)

def say():
    said = {"busy_s": time.process_time(), "life_s": time.monotonic() - begin}
    sys.stdout.write(json.dumps(said) + "\\n")
    sys.stdout.flush()

def told_to_end(wait_s):
    until = time.monotonic() + wait_s
    while True:
        now = time.monotonic()
        if now - begin > life_s:
            return True
        if not select.select([0], [], [], max(0, min(until - now, begin + life_s - now)))[0]:
            if now >= until:
                return False
        elif os.read(0, 64):
            say()
        else:
            return True

say()
while not told_to_end(draw(1 / idle_s) if idle_s else 0):
    until = time.monotonic() + draw(1 / busy_s)
    while time.monotonic() < until and not told_to_end(0):
        target[:] = source
"""


@dataclass(frozen=True)
class HogPlan:
    """Which core is disturbed and when.

    Attributes
    ----------
    core : int
    busy_s, idle_s : float
        Mean lengths of alternating busy and idle spells, each drawn from an exponential distribution; an
        ``idle_s`` of 0 is without pause.
    seed : int
        Of the spells.
    """

    core: int
    busy_s: float = 1.0
    idle_s: float = 0.0
    seed: int = 0

    def argv(self, python: str) -> list[str]:
        """The command."""
        numbers = (self.core, self.seed, self.busy_s, self.idle_s, LIFE_S)
        return [python, "-I", "-S", "-c", PROGRAM, *map(str, numbers)]


class Hog:
    """A running hog; leaving it ends it.

    Parameters
    ----------
    plan : HogPlan
    client : SshClient, optional
        Of the board that it runs on; this machine without one.

    Attributes
    ----------
    life_s : float
        How long it had lived when it last spoke.

    Raises
    ------
    SystemExit
        It does not start.
    """

    def __init__(self, plan: HogPlan, client: SshClient | None = None) -> None:
        self._connection: Connection = (
            PipeConnection(plan.argv(sys.executable))
            if client is None
            else client.open_exec(plan.argv("python3"))
        )
        try:
            self._busy_s, self.life_s = self._said()
        except SystemExit:
            raise SystemExit(
                f"nothing can be run on core {plan.core} to disturb it: {self._connection.diagnosis()}"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def held(self) -> tuple[float, float]:
        """Seconds that it held its core, and seconds that passed, since it last spoke.

        Raises SystemExit where it has ended: what was measured meanwhile was not disturbed.
        """
        busy_s, life_s = self._busy_s, self.life_s
        with contextlib.suppress(OSError):
            self._connection.send(b"\n", timeout_s=10)
        self._busy_s, self.life_s = self._said()
        return round(self._busy_s - busy_s, 4), round(self.life_s - life_s, 4)

    def _said(self) -> tuple[float, float]:
        if not (line := self._line()):
            self._connection.close()
            raise SystemExit(
                f"what disturbed the device ended early ({self._connection.diagnosis() or 'killed'}): the "
                "process that was measured meanwhile is not kept; the same command goes on"
            )
        said = json.loads(line)
        return float(said["busy_s"]), float(said["life_s"])

    def _line(self) -> str:
        line = b""
        while not line.endswith(b"\n") and len(line) < ANSWER_LIMIT_BYTES:
            if not (data := self._connection.receive()):
                break
            line += data
        return line.decode(errors="replace").strip()


def client_of(device: str) -> SshClient | None:
    """The SSH connection to an enrolled board, where a hog can be started; None for this machine."""
    if device == "local":
        return None
    entries = Inventory().entries()
    if device not in entries:
        raise SystemExit(f"nothing can be disturbed on {device!r}: only on local and on enrolled boards")
    return SshClient(entries[device].ssh_settings())
