"""Deleting the state folder never costs the clock its governor, against a made-up /sys."""

import os
import subprocess
from pathlib import Path

import pytest

from hytnas_agent.cli import main
from hytnas_agent.device.governor import PinnedGovernors, governor_file, governors, pinned_while
from hytnas_agent.errors import AgentError
from hytnas_agent.lease import DeviceLease
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import ErrorCode, RpcError
from hytnas_agent.removal import delete_state
from hytnas_agent.tuning import tune

from .conftest import make_cores


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_cores(tmp_path, "cpu0")


def now(root: Path) -> str:
    return governors(root)["cpu0"]


def test_what_a_person_had_tuned_is_taken_back_first(state: StateFolder, root: Path) -> None:
    tune(state, "apply", root=root)
    assert now(root) == "performance"
    delete_state(state, keeps_results=True, root=root)
    assert now(root) == "ondemand"
    assert not state.root.exists()


def test_what_a_killed_agent_left_pinned_is_put_back_first(state: StateFolder, root: Path) -> None:
    PinnedGovernors(state.held_governors, root).pin()
    delete_state(state, keeps_results=True, root=root)
    assert now(root) == "ondemand"
    assert not state.root.exists()


def test_nothing_is_deleted_while_somebody_measures(state: StateFolder, root: Path) -> None:
    lease = DeviceLease(state.lease)
    lease.acquire("hytnas-agent measure", "model.onnx", os.getpid())
    with pinned_while(PinnedGovernors(state.held_governors, root)):
        with pytest.raises(RpcError, match=r"hytnas-agent measure .*model\.onnx") as busy:
            delete_state(state, keeps_results=True, root=root)
        assert busy.value.code == ErrorCode.BUSY
        assert state.held_governors.exists()
    assert now(root) == "ondemand"
    lease.release()
    delete_state(state, keeps_results=True, root=root)
    assert not state.root.exists()


def test_the_command_names_who_measures(state: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
    lease = DeviceLease(state.lease)
    lease.acquire("hytnas-agent measure", "model.onnx", os.getpid())
    assert main(["--state", str(state.root), "stop", "--delete-state"]) == 1
    assert "in use by hytnas-agent measure" in capsys.readouterr().err
    assert state.journal.exists()
    assert state.lease.exists()
    lease.release()
    assert main(["--state", str(state.root), "stop", "--delete-state"]) == 0
    assert not state.root.exists()


def test_a_governor_that_may_not_be_put_back_keeps_the_folder(
    state: StateFolder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tune(state, "apply", root=root)

    def closed(path: Path, governor: str) -> None:
        raise PermissionError(path, governor)

    def no_sudo(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(1, "sudo")

    with monkeypatch.context() as patched:
        patched.setattr("hytnas_agent.tuning.write_directly", closed)
        with pytest.raises(AgentError, match=rf"echo ondemand \| sudo tee {governor_file('cpu0', root)}"):
            delete_state(state, keeps_results=True, root=root, run=no_sudo)
    assert state.tuned.exists()
    governor_file("cpu0", root).write_text("ondemand\n")  # as the message says
    delete_state(state, keeps_results=True, root=root)
    assert not state.root.exists()
