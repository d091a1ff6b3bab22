"""Tuning against a made-up /sys: what is planned, done, refused and undone."""

import io
import os
import subprocess
from pathlib import Path

import pytest

from hytnas_agent.cli import main
from hytnas_agent.device.governor import PinnedGovernors, governor_file, governors
from hytnas_agent.lease import DeviceLease
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import ErrorCode, RpcError, TuneAction, TuneResult, TuneStep
from hytnas_agent.tuning import tune, write_somehow

from .conftest import make_cores


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_cores(tmp_path / "root", "cpu0", "cpu1")


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state").create()


def ask(state: StateFolder, root: Path, action: TuneAction, **more) -> TuneResult:
    return tune(state, action, root=root, sleep=lambda _: None, **more)


def test_the_plan_changes_nothing(state: StateFolder, root: Path) -> None:
    plan = ask(state, root, "plan")
    assert plan.steps == tuple(
        TuneStep(f"governor of {core}", "ondemand", "performance") for core in ("cpu0", "cpu1")
    )
    assert set(governors(root).values()) == {"ondemand"}
    assert not state.tuned.exists()


def test_what_was_applied_can_be_undone(state: StateFolder, root: Path) -> None:
    applied = ask(state, root, "apply")
    assert [step.state for step in applied.steps] == ["done", "done"]
    assert set(governors(root).values()) == {"performance"}
    again = ask(state, root, "plan")
    assert again.steps == ()
    assert "--undo" in again.remarks[0]
    undone = ask(state, root, "undo")
    assert [(step.then, step.state) for step in undone.steps] == [("ondemand", "done")] * 2
    assert set(governors(root).values()) == {"ondemand"}
    assert ask(state, root, "undo").steps == ()


def test_a_device_in_use_is_not_tuned(state: StateFolder, root: Path) -> None:
    lease = DeviceLease(state.lease)
    lease.acquire("somebody", "measuring", os.getpid())
    for action in ("apply", "undo"):
        with pytest.raises(RpcError, match="somebody") as busy:
            ask(state, root, action)
        assert busy.value.code == ErrorCode.BUSY
    assert ask(state, root, "plan").steps
    assert set(governors(root).values()) == {"ondemand"}


def test_a_device_without_frequency_scaling_says_so(state: StateFolder, tmp_path: Path) -> None:
    assert ask(state, tmp_path / "empty", "plan") == TuneResult(
        (), ("this device has no frequency scaling that could be set",)
    )


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of /sys belong to root."""

    def refuse(path: Path, governor: str) -> None:
        raise PermissionError(path, governor)

    monkeypatch.setattr("hytnas_agent.tuning.write_directly", refuse)


@pytest.mark.usefixtures("closed")
def test_sudo_is_tried_where_it_asks_for_no_password(root: Path) -> None:
    ran = []

    def run(command: list[str], **options: object) -> None:
        ran.append((command, options["input"], options["check"]))

    path = governor_file("cpu0", root)
    write_somehow(path, "performance", run)
    assert ran == [(["sudo", "-n", "tee", str(path)], b"performance", True)]


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize(
    "error",
    [
        subprocess.CalledProcessError(1, "sudo"),
        subprocess.TimeoutExpired("sudo", 10),
        FileNotFoundError("sudo"),
    ],
)
def test_what_is_refused_is_said_with_what_to_do(state: StateFolder, root: Path, error: Exception) -> None:
    def run(*_: object, **__: object) -> None:
        raise error

    refused = ask(state, root, "apply", run=run)
    assert {step.state for step in refused.steps} == {"refused"}
    assert refused.steps[0].advice == (
        f"Do it yourself: echo performance | sudo tee {governor_file('cpu0', root)}"
    )
    assert set(governors(root).values()) == {"ondemand"}
    assert ask(state, root, "undo").steps == ()


@pytest.fixture
def here(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line acts on the made-up /sys."""

    def on_root(state: StateFolder, action: TuneAction) -> TuneResult:
        return ask(state, root, action)

    monkeypatch.setattr("hytnas_agent.commands.tune", on_root)


@pytest.mark.usefixtures("here")
def test_the_command_shows_the_plan_and_asks(
    state: StateFolder, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(text: str) -> int:
        terminal = io.StringIO(text)
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdin", terminal)
        return main(["tune", "--state", str(state.root)])

    assert answer("\n") == 0
    assert set(governors(root).values()) == {"ondemand"}
    shown = capsys.readouterr().out
    assert "planned governor of cpu0: ondemand -> performance" in shown
    assert "nothing was changed" in shown
    assert answer("y\n") == 0
    assert set(governors(root).values()) == {"performance"}
    assert "done    governor of cpu1: ondemand -> performance" in capsys.readouterr().out
    assert main(["tune", "--undo", "--state", str(state.root)]) == 0
    assert set(governors(root).values()) == {"ondemand"}


@pytest.mark.usefixtures("here")
def test_nobody_to_ask_is_no_consent(
    state: StateFolder, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["tune", "--state", str(state.root)]) == 1
    assert "Say so with --yes" in capsys.readouterr().err
    assert main(["tune", "--json", "--state", str(state.root)]) == 0  # JSON shows the plan alone
    assert set(governors(root).values()) == {"ondemand"}
    assert main(["tune", "--yes", "--state", str(state.root)]) == 0
    assert set(governors(root).values()) == {"performance"}


def test_what_a_killed_agent_left_pinned_is_not_taken_for_the_devices_own(
    state: StateFolder, root: Path
) -> None:
    PinnedGovernors(state.held_governors, root).pin()
    ask(state, root, "apply")
    ask(state, root, "undo")
    assert set(governors(root).values()) == {"ondemand"}
    assert not state.held_governors.exists()
