"""QEMU's Raspberry Pi 3B from a bare SD card to a data set: over a reboot, a crash, an upgrade."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hytnas_agent import __version__
from hytnas_agent.protocol import HelloResult
from hytnas_host.devices import open_device

from .board import FullBoard
from .board.host import Host
from .board.study import (
    SMALL,
    WORDS,
    assert_complete,
    assert_nothing_waits,
    assert_recognised,
    assert_says_emulated,
    exactly,
)
from .faults.table import FaultTable
from .wheels import build_wheel

pytestmark = pytest.mark.board_full

MODELS = 4
PATIENCE = ("--deadline-s", 1200)  # an inference takes seconds there, and the start of a process many more
UNIT = "hytnas-agent.service"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    host = Host(tmp_path_factory.mktemp("host"))
    yield host
    host.close()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def pi(full_board: FullBoard, host: Host, wheel: Path) -> FullBoard:
    """A board whose agent systemd runs; installing it takes long, and so it is done once."""
    assert "Raspberry Pi 3 Model B" in host.enrol(full_board)
    words = ("--runtime", "onnxruntime", "--systemd", "--wheel", wheel)
    told = host.run("device", "provision", full_board.name, *words, timeout_s=2400)
    assert f"has agent {__version__} now, with onnxruntime" in told
    # As provisioning advises where users may not: else a login starts the services, and its end stops them.
    full_board.ssh("sudo loginctl enable-linger pi", check=True)
    return full_board


def test_a_reboot_in_the_middle_costs_a_collection_nothing(
    pi: FullBoard, host: Host, faults: FaultTable
) -> None:
    assert_recognised(pi)
    examined = host.run("device", "doctor", pi.name)
    assert WORDS in examined
    assert "runs a model" in examined

    study = host.folder / "study"
    models = (*SMALL, "--n", MODELS, *exactly(1))
    collection = host.start("collect", "latency", "--device", pi.name, "--study", study, *models, *PATIENCE)
    collection.wait_until_it_says(f": 1/{2 * MODELS}", 1200)
    boot = pi.boot_id()
    pi.ssh("sudo systemctl reboot")
    began_s = time.monotonic()
    pi.wait_for_reboot(boot)
    booted_s = time.monotonic() - began_s
    collection.wait_until_it_says("rejoined", 900)
    rejoined_s = time.monotonic() - began_s
    assert collection.wait(1800) == 0, collection.said

    assert_complete(study, models=MODELS, processes=1)
    assert_nothing_waits([pi], study)
    assert_says_emulated(host, study)
    faults.add(
        "board rebooted in the middle of a batch (QEMU's Raspberry Pi 3B)",
        f"`systemctl reboot` on the board when 1 of {2 * MODELS} processes was over",
        f"SSH answered after {booted_s:.0f} s, and after {rejoined_s:.0f} s the board rejoined the same run; "
        "every model has one label, every process is on record once",
    )


def test_the_unit_stops_starts_and_outlives_a_crash(
    pi: FullBoard, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = main_pid(pi)
    assert greeted(pi, host, monkeypatch).agent_pid == first  # not one that was started beside it

    pi.ssh(f"systemctl --user stop {UNIT}", check=True)
    assert shown(pi, "ActiveState", "Result", "ExecMainStatus") == ["inactive", "success", "0"]
    assert agents(pi) == []
    pi.ssh(f"systemctl --user start {UNIT}", check=True)
    second = main_pid(pi)
    assert second not in (0, first)

    pi.ssh(f"kill -9 {second}", check=True)
    wait_until(lambda: main_pid(pi) not in (0, second))
    wait_until(lambda: shown(pi, "ActiveState") == ["active"])
    assert greeted(pi, host, monkeypatch).agent_pid == main_pid(pi)


def test_the_unit_is_upgraded_and_goes_without_a_trace(
    pi: FullBoard, host: Host, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = main_pid(pi)
    newer = build_wheel(tmp_path, "99.0.0")
    told = host.run("device", "provision", pi.name, "--wheel", newer, timeout_s=2400)
    assert "has agent 99.0.0 now" in told
    hello = greeted(pi, host, monkeypatch)
    assert hello.agent_version == "99.0.0"
    assert hello.agent_pid == main_pid(pi) != before
    assert len(agents(pi)) == 1

    # Back to what is still there, and without systemd.
    told = host.run("device", "provision", pi.name, "--wheel", wheel, "--no-systemd", timeout_s=1200)
    assert f"has agent {__version__} now" in told
    assert pi.ssh(f"systemctl --user cat {UNIT}").returncode != 0
    assert agents(pi) == []

    host.run("device", "unprovision", pi.name)
    assert pi.ssh("find ~ -type f -path '*hytnas*'", check=True).stdout == ""


def shown(pi: FullBoard, *properties: str) -> list[str]:
    """What systemd says of the unit."""
    wanted = " ".join(f"--property={name}" for name in properties)
    lines = pi.ssh(f"systemctl --user show {wanted} {UNIT}", check=True).stdout.splitlines()
    said = dict(line.split("=", 1) for line in lines)
    return [said[name] for name in properties]


def main_pid(pi: FullBoard) -> int:
    """The process that systemd has for the unit; 0 where it runs none."""
    return int(shown(pi, "MainPID")[0])


def agents(pi: FullBoard) -> list[int]:
    """The servers and workers that run, whoever started them."""
    return [int(pid) for pid in pi.ssh("pgrep -f '[h]ytnas[-_]agent'").stdout.split()]


def greeted(pi: FullBoard, host: Host, monkeypatch: pytest.MonkeyPatch) -> HelloResult:
    """What the agent that answers says of itself."""
    with monkeypatch.context() as patch:
        for name, value in host.settings.items():
            patch.setenv(name, value)
        with open_device(pi.name) as device:
            return device.hello()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(1)
