"""``tune``: pin the clock of a device after showing what would be done, and take it back. Nothing else.

What disturbs beyond that (other programs, swap) is named for the person to decide: nothing is stopped here.
"""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from hytnas_agent.device.files import ROOT
from hytnas_agent.device.governor import PINNED, PinnedGovernors, governor_file, governors, write_directly
from hytnas_agent.device.processes import busiest, processor_times
from hytnas_agent.lease import DeviceLease
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import TuneAction, TuneResult, TuneStep

SUDO: Final = ("sudo", "-n", "tee")
SUDO_TIMEOUT_S: Final = 10.0
LOOK_S: Final = 0.5

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


def tune(
    state: StateFolder,
    action: TuneAction,
    *,
    root: Path = ROOT,
    run: Run = subprocess.run,
    sleep: Callable[[float], object] = time.sleep,
) -> TuneResult:
    """Say what would be done, do it, or take it back.

    Until the next boot, which sets the governor anew, unless it is taken back before. What an agent that was
    killed has left pinned is put back first, so that it is not taken for what the device had.

    Raises
    ------
    RpcError
        BUSY, where somebody measures: then only the plan can be had.
    AgentError
        If what was found cannot be remembered; then nothing is changed.
    """
    tuned = PinnedGovernors(state.tuned, root, lambda path, value: write_somehow(path, value, run))
    if action == "plan":
        times = processor_times(root)
        sleep(LOOK_S)
        return TuneResult(
            tuple(_step(core, found, PINNED) for core, found in tuned.to_pin().items()),
            _remarks(root, tuned, busiest(times, processor_times(root))),
        )
    lease = DeviceLease(state.lease)
    lease.acquire("hytnas-agent tune", f"{action} the clock's governor", os.getpid())
    try:
        if action == "undo":
            return put_back(state, root=root, run=run)
        PinnedGovernors(state.held_governors, root).restore()  # of an agent that was killed
        return _apply(tuned, root)
    finally:
        lease.release()


def put_back(state: StateFolder, *, root: Path = ROOT, run: Run = subprocess.run) -> TuneResult:
    """Take back what ``tune`` has pinned, and what a killed agent has left pinned; hold the lease for it."""
    PinnedGovernors(state.held_governors, root).restore()
    return _undo(
        PinnedGovernors(state.tuned, root, lambda path, value: write_somehow(path, value, run)), root
    )


def write_somehow(path: Path, governor: str, run: Run = subprocess.run) -> None:
    """Set a governor as this user, else by ``sudo`` where that asks for no password.

    Raises OSError where neither is permitted.
    """
    try:
        write_directly(path, governor)
    except PermissionError:
        try:
            run(
                [*SUDO, str(path)],
                input=governor.encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=SUDO_TIMEOUT_S,
                check=True,
            )
        except subprocess.SubprocessError as error:
            raise PermissionError(f"sudo may not set {path}") from error


def _apply(tuned: PinnedGovernors, root: Path) -> TuneResult:
    wanted = tuned.to_pin()
    done = tuned.pin()
    steps = [_ended(core, found, PINNED, done=core in done, root=root) for core, found in wanted.items()]
    return TuneResult(tuple(steps))


def _undo(tuned: PinnedGovernors, root: Path) -> TuneResult:
    found = tuned.found
    now = governors(root)
    done = tuned.restore()
    wanted = {core: value for core, value in found.items() if now.get(core) == PINNED}
    steps = [_ended(core, PINNED, value, done=core in done, root=root) for core, value in wanted.items()]
    return TuneResult(tuple(steps))


def _step(core: str, now: str, then: str) -> TuneStep:
    return TuneStep(f"governor of {core}", now, then)


def _ended(core: str, now: str, then: str, *, done: bool, root: Path) -> TuneStep:
    if done:
        return msgspec.structs.replace(_step(core, now, then), state="done")
    advice = f"Do it yourself: echo {then} | sudo tee {governor_file(core, root)}"
    return msgspec.structs.replace(_step(core, now, then), state="refused", advice=advice)


def _remarks(root: Path, tuned: PinnedGovernors, busy: Sequence[str]) -> tuple[str, ...]:
    remarks = []
    if not governors(root):
        remarks.append("this device has no frequency scaling that could be set")
    elif tuned.found:
        remarks.append("the governor was pinned by an earlier tune, which --undo takes back")
    if busy:
        remarks.append(f"at work now, and not touched: {', '.join(busy)}. End what you do not need yourself")
    return tuple(remarks)
