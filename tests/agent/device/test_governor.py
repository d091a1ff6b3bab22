"""The governor is put back as it was found, on every way out, against a made-up /sys."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hytnas_agent.device.governor import (
    PinnedGovernors,
    governor_file,
    governors,
    pinned_while,
    restore_leftovers,
)
from hytnas_agent.errors import AgentError
from hytnas_agent.lease import DeviceLease

FOUND = {"cpu0": "ondemand", "cpu1": "ondemand", "cpu2": "powersave", "cpu3": "performance"}
PINNED = dict.fromkeys(FOUND, "performance")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for core, value in FOUND.items():
        file = governor_file(core, root)
        file.parent.mkdir(parents=True)
        file.write_text(f"{value}\n")
        (file.parent / "scaling_available_governors").write_text("ondemand performance powersave\n")
    boot(root, "first-boot")
    return root


def boot(root: Path, boot_id: str) -> None:
    path = root / "proc/sys/kernel/random/boot_id"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(boot_id)


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "found.json"


def test_what_was_pinned_is_put_back_as_it_was_found(root: Path, memory: Path) -> None:
    with pinned_while(PinnedGovernors(memory, root)):
        assert governors(root) == PINNED
    assert governors(root) == FOUND
    assert not memory.exists()


def test_an_exception_is_a_way_out_too(root: Path, memory: Path) -> None:
    with pytest.raises(RuntimeError), pinned_while(PinnedGovernors(memory, root)):
        raise RuntimeError
    assert governors(root) == FOUND


def test_a_killed_agent_leaves_what_the_next_one_puts_back(root: Path, memory: Path, tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from hytnas_agent.device.governor import PinnedGovernors;"
        "PinnedGovernors(*map(pathlib.Path, sys.argv[1:])).pin(); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(memory), str(root)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert governors(root) == PINNED
    lease = DeviceLease(tmp_path / "lease")
    restore_leftovers(PinnedGovernors(memory, root), lease)
    assert governors(root) == FOUND
    assert not lease.held


def test_what_a_killed_agent_left_survives_the_next_ones_pinning(root: Path, memory: Path) -> None:
    PinnedGovernors(memory, root).pin()
    governor_file("cpu0", root).write_text("powersave\n")  # and somebody has set another meanwhile
    with pinned_while(PinnedGovernors(memory, root)):
        assert governors(root) == PINNED
    assert governors(root) == FOUND


def test_leftovers_of_one_who_still_measures_are_his(root: Path, memory: Path, tmp_path: Path) -> None:
    PinnedGovernors(memory, root).pin()
    other = DeviceLease(tmp_path / "lease")
    other.acquire("other", "measuring", os.getpid())
    restore_leftovers(PinnedGovernors(memory, root), DeviceLease(tmp_path / "lease"))
    assert governors(root) == PINNED
    other.release()


def test_a_governor_that_somebody_has_set_meanwhile_is_his(root: Path, memory: Path) -> None:
    held = PinnedGovernors(memory, root)
    held.pin()
    governor_file("cpu0", root).write_text("powersave\n")
    assert held.restore() == ["cpu1", "cpu2"]
    assert governors(root) == FOUND | {"cpu0": "powersave"}


def test_a_boot_has_set_them_anew(root: Path, memory: Path) -> None:
    PinnedGovernors(memory, root).pin()
    boot(root, "second-boot")
    assert PinnedGovernors(memory, root).restore() == []
    assert governors(root) == PINNED
    assert not memory.exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "nonsense",
        '{"boot_id": "first-boot", "governors": {"../../etc": "ondemand"}}',
        '{"boot_id": "first-boot", "governors": {"cpu0": "on demand\\n"}}',
    ],
)
def test_a_damaged_memory_changes_nothing(root: Path, memory: Path, content: str) -> None:
    memory.write_text(content)
    held = PinnedGovernors(memory, root)
    assert held.found == {}
    assert held.restore() == []
    assert governors(root) == FOUND


def test_what_is_not_permitted_is_left_alone(root: Path, memory: Path) -> None:
    def refuse(path: Path, governor: str) -> None:
        raise PermissionError(path, governor)

    held = PinnedGovernors(memory, root, refuse)
    assert held.pin() == []
    assert governors(root) == FOUND


def test_what_cannot_be_put_back_stays_remembered(root: Path, memory: Path) -> None:
    PinnedGovernors(memory, root).pin()

    def refuse(path: Path, governor: str) -> None:
        raise PermissionError(path, governor)

    assert PinnedGovernors(memory, root, refuse).restore() == []
    assert PinnedGovernors(memory, root).restore() == ["cpu0", "cpu1", "cpu2"]
    assert governors(root) == FOUND


def test_without_a_place_to_remember_nothing_is_changed(root: Path, tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="cannot be written"):
        PinnedGovernors(tmp_path / "nowhere" / "found.json", root).pin()
    assert governors(root) == FOUND


def test_without_frequency_scaling_there_is_nothing_to_pin(tmp_path: Path, memory: Path) -> None:
    held = PinnedGovernors(memory, tmp_path)
    assert (held.to_pin(), held.pin(), held.restore()) == ({}, [], [])
    assert not memory.exists()


def test_a_governor_that_the_kernel_lacks_is_not_asked_for(root: Path, memory: Path) -> None:
    (governor_file("cpu0", root).parent / "scaling_available_governors").write_text("ondemand schedutil\n")
    assert PinnedGovernors(memory, root).pin() == ["cpu1", "cpu2"]


def test_leftovers_that_a_full_disk_keeps_from_being_put_back_stop_nothing(
    root: Path, memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, lease = PinnedGovernors(memory, root), DeviceLease(tmp_path / "lease")
    held.pin()

    def full(*_: object) -> int:
        raise AgentError("the lease cannot be written: No space left on device")

    monkeypatch.setattr(lease, "acquire", full)
    restore_leftovers(held, lease)
    assert held.found
