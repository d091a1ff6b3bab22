"""The lock between host work and timed runs, with real processes."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hytnas_agent.paths import StateFolder
from hytnas_host.devices.errors import QuietError
from hytnas_host.devices.quiet import host_work, quiet_folder, quiet_machine

# Each process appends one whole line an event; O_APPEND keeps the order in which they happened.
PROGRAM = """
import json, os, sys, time
from pathlib import Path
from hytnas_host.devices.quiet import host_work, quiet_machine
kind, folder, log, name, turns, hold_s = sys.argv[1:]
turn = {"host": host_work, "quiet": quiet_machine}[kind]
out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def say(event):
    os.write(out, (json.dumps([name, kind, event]) + "\\n").encode())
say("ready")
for _ in range(int(turns)):
    with turn(Path(folder)):
        say("in")
        time.sleep(float(hold_s))
        say("out")
say("done")
"""


class Crew:
    """Processes that take turns, and the log of what they did in the order it happened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "events"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, kind: str, name: str, turns: int, hold_s: float) -> subprocess.Popen[bytes]:
        arguments = [kind, str(self.folder), str(self.log), name, str(turns), str(hold_s)]
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments])
        self.processes.append(process)
        return process

    def events(self) -> list[tuple[str, str, str]]:
        if not self.log.exists():
            return []
        return [tuple(json.loads(line)) for line in self.log.read_text().splitlines()]

    def wait_for(self, name: str, event: str) -> None:
        deadline = time.monotonic() + 60
        while not any(e[0] == name and e[2] == event for e in self.events()):
            assert time.monotonic() < deadline, f"{name} never said {event}: {self.events()}"
            time.sleep(0.005)

    def join(self) -> None:
        for process in self.processes:
            assert process.wait(60) == 0


@pytest.fixture
def crew(tmp_path):
    crew = Crew(tmp_path)
    yield crew
    for process in crew.processes:
        process.kill()
        process.wait()


def check_exclusion(events: list[tuple[str, str, str]]) -> int:
    """Replay the log; returns how many host turns overlapped another at most."""
    hosts, quiets, most = 0, 0, 0
    for _, kind, event in events:
        step = {"in": 1, "out": -1}.get(event, 0)
        if kind == "host":
            hosts += step
        else:
            quiets += step
        assert quiets <= 1
        assert not (quiets and hosts)
        most = max(most, hosts)
    return most


def test_host_work_overlaps_and_quiet_excludes_everything(crew):
    for i in range(2):
        crew.start("host", f"h{i}", 15, 0.01)
    for i in range(2):
        crew.start("quiet", f"q{i}", 15, 0.005)
    crew.join()
    check_exclusion(crew.events())


def test_two_pieces_of_host_work_run_at_once(crew):
    crew.start("host", "a", 1, 60)
    crew.wait_for("a", "in")
    crew.start("host", "b", 1, 0)
    crew.wait_for("b", "out")


@pytest.mark.parametrize(("stream", "guest"), [("host", "quiet"), ("quiet", "host")])
def test_a_steady_stream_of_one_kind_does_not_starve_the_other(crew, stream, guest):
    # Enough turns that the guest can only finish before them if it is let in between.
    for i in range(2):
        crew.start(stream, f"s{i}", 100_000, 0.01)
    for i in range(2):
        crew.wait_for(f"s{i}", "in")
    crew.start(guest, "guest", 5, 0.001)
    crew.wait_for("guest", "done")
    check_exclusion(crew.events())


@pytest.mark.parametrize("killed", ["host", "quiet"])
def test_kill_9_frees_the_machine(crew, killed):
    holder = crew.start(killed, "holder", 1, 600)
    crew.wait_for("holder", "in")
    crew.start("quiet", "next", 1, 0)
    crew.wait_for("next", "ready")
    assert ("next", "quiet", "in") not in crew.events()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    crew.wait_for("next", "out")


def test_kill_9_of_a_waiter_frees_the_turnstile(crew):
    holder = crew.start("host", "holder", 1, 600)
    crew.wait_for("holder", "in")
    waiter = crew.start("quiet", "waiter", 1, 0)
    crew.wait_for("waiter", "ready")
    time.sleep(0.1)
    os.kill(waiter.pid, signal.SIGKILL)
    waiter.wait()
    crew.start("host", "other", 1, 0)
    crew.wait_for("other", "out")
    holder.kill()


def test_nested_turns_of_one_kind_hold_once(tmp_path):
    with host_work(tmp_path), host_work(tmp_path):
        pass
    with quiet_machine(tmp_path), quiet_machine(tmp_path):
        pass
    with quiet_machine(tmp_path):
        pass


def test_nested_turns_of_both_kinds_are_refused_rather_than_hang(tmp_path):
    with host_work(tmp_path), pytest.raises(QuietError), quiet_machine(tmp_path):
        pass
    with quiet_machine(tmp_path), pytest.raises(QuietError), host_work(tmp_path):
        pass


def test_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(QuietError, match="XDG_STATE_HOME"), host_work(tmp_path / "file" / "locks"):
        pass


def test_folder_follows_the_state_home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert quiet_folder() == tmp_path / "hytnas" / "quiet"


def test_host_work_waits_for_a_timed_run_whose_host_was_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("HYTNAS_AGENT_STATE", str(tmp_path / "agent"))
    lock = StateFolder(tmp_path / "agent").create().timed_lock
    entered = threading.Event()

    def work() -> None:
        with host_work(tmp_path / "locks"):
            entered.set()

    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as the agent of this machine does
        with quiet_machine(tmp_path / "locks"):
            pass  # timed runs go by the agent's own queue
        thread = threading.Thread(target=work)
        thread.start()
        assert not entered.wait(0.3)
    assert entered.wait(60)
    thread.join()
