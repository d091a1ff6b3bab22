"""Links, pipes and folders where the agent keeps its files: one line, or done without, and never a wait."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hytnas_agent.connect import connect_or_start, open_socket, someone_serves
from hytnas_agent.device.governor import PinnedGovernors
from hytnas_agent.device.speed_memory import SpeedMemory
from hytnas_agent.errors import AgentError
from hytnas_agent.instance import single_instance
from hytnas_agent.lease import DeviceLease
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import RuntimeInfo
from hytnas_agent.runtimes import probe
from hytnas_agent.runtimes.registry import RUNTIMES
from hytnas_agent.server.runner import _locked
from hytnas_agent.stop import stop_server

PUT: dict[str, Callable[[Path], object]] = {
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "loop": lambda path: path.symlink_to(path),
    "pipe": os.mkfifo,
    "folder": lambda path: path.mkdir(),
}


@pytest.fixture(params=PUT)
def put(request: pytest.FixtureRequest) -> Callable[[Path], object]:
    return PUT[request.param]


def test_what_locks_and_logs_are_kept_in_is_named(state: StateFolder, put: Callable[[Path], object]) -> None:
    state.create()
    for path in (state.server_lock, state.server_log, state.lease):
        put(path)
    for use in (
        lambda: single_instance(state).__enter__(),
        lambda: connect_or_start(state),
        lambda: DeviceLease(state.lease).acquire("me", "work", 1),
    ):
        with pytest.raises(AgentError, match=r"\.(lock|log) cannot be (used|opened): (it is|Is a dir)"):
            use()
    if not state.server_lock.is_symlink():
        with pytest.raises(AgentError, match=r"serve\.lock cannot be used: .*\. Move it away"):
            stop_server(state, timeout_s=1)
    assert not (state.root / "nowhere").exists()


def test_what_is_only_remembered_is_done_without(
    state: StateFolder, put: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    state.create()
    for path in (state.core_speeds, state.held_governors, state.timed_lock, state.runtimes):
        put(path)
    SpeedMemory(state.core_speeds)
    assert PinnedGovernors(state.held_governors).found == {}
    with _locked(state.timed_lock):
        assert not (state.root / "nowhere").exists()
    monkeypatch.setattr(probe, "probe_runtime", lambda name: RuntimeInfo(name, "", "", (), usable=False))
    assert [info.name for info in probe.probe_runtimes(state.runtimes)] == list(RUNTIMES.names())


def test_a_link_in_the_place_of_the_lock_or_the_socket_is_no_server(state: StateFolder) -> None:
    state.create()
    state.socket.symlink_to(state.socket)
    state.server_lock.symlink_to("nowhere")
    assert open_socket(state) is None
    assert not someone_serves(state)


def test_a_folder_in_the_place_of_a_part_of_the_state_folder_is_named(state: StateFolder) -> None:
    state.create().incoming.rmdir()
    state.incoming.touch()
    with pytest.raises(AgentError, match=r"cannot be used: .*spool/incoming: File exists"):
        state.create()
