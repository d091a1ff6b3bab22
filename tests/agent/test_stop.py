"""``hytnas-agent stop``, with real servers."""

import fcntl
import json
import os
import signal
from collections.abc import Callable

import pytest

from hytnas_agent.cli import main
from hytnas_agent.connect import someone_serves
from hytnas_agent.errors import AgentError
from hytnas_agent.instance import single_instance
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import ErrorCode
from hytnas_agent.stop import Stopped, stop_server

from .conftest import AgentUnderTest, Models, make_job, server_pid, start_endless, start_server, wait_until

Connect = Callable[..., AgentUnderTest]


def test_without_a_server_there_is_nothing_to_stop(state: StateFolder) -> None:
    assert stop_server(state, timeout_s=10.0) == Stopped(None, 0)
    assert stop_server(state, timeout_s=10.0) == Stopped(None, 0)


def test_a_server_is_ended_and_another_can_start(state: StateFolder) -> None:
    first = start_server(state)
    assert stop_server(state, timeout_s=30.0).pid == first.pid
    assert first.wait() == 0
    second = start_server(state)
    assert server_pid(state) == second.pid


def test_a_server_takes_over_from_the_one_that_runs(connect: Connect, state: StateFolder) -> None:
    first = start_server(state)
    second = start_server(state, None, "--take-over")
    assert first.wait(60) == 0
    wait_until(lambda: server_pid(state) == second.pid)
    third = start_server(state)
    assert third.wait(60) == 1  # unasked, a server does not
    assert connect(hello=False).hello().agent_pid == second.pid


def test_the_running_job_is_handed_back_and_finished_results_are_counted(
    connect: Connect, models: Models, state: StateFolder
) -> None:
    agent = connect()
    agent.acquire()
    agent.upload(models.tiny)
    agent.upload(models.endless)
    agent.measure(make_job(models.tiny, "done"))
    running = start_endless(agent, models)
    stopped = stop_server(state, timeout_s=30.0)
    response = agent.receive()
    assert (response.id, response.error.code) == (running, ErrorCode.SHUTTING_DOWN)
    assert stopped.unfetched_results == 1


def test_a_server_that_does_not_end_is_named(state: StateFolder) -> None:
    server = start_server(state)
    os.kill(server.pid, signal.SIGSTOP)
    with pytest.raises(AgentError, match=f"pid {server.pid}.*kill -9 {server.pid}"):
        stop_server(state, timeout_s=0.2)


def test_the_command_speaks_to_people_and_programs(
    state: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    server = start_server(state)
    assert main(["--state", str(state.root), "stop"]) == 0
    assert capsys.readouterr().out == f"stopped the agent (pid {server.pid})\n"
    assert main(["--state", str(state.root), "stop", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"pid": None, "unfetched_results": 0}


def test_the_state_folder_is_deleted_whole(
    connect: Connect, models: Models, state: StateFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = connect()
    agent.acquire()
    agent.upload(models.tiny)
    agent.measure(make_job(models.tiny))
    main(["--state", str(state.root), "describe"])
    arguments = ["--state", str(state.root), "stop", "--delete-state"]
    assert main(arguments) == 1
    assert "1 results" in capsys.readouterr().err
    assert server_pid(state) is not None  # refused before anything was stopped
    agent.close()
    assert main([*arguments, "--discard-results"]) == 0
    assert (list(state.root.glob("*")), state.root.exists()) == ([], False)


def test_a_server_that_starts_meanwhile_keeps_its_state(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped_and_started(state: StateFolder, *, timeout_s: float) -> Stopped:
        return Stopped(start_server(state).pid, 0)

    monkeypatch.setattr("hytnas_agent.commands.stop_server", stopped_and_started)
    assert main(["--state", str(state.root), "stop", "--delete-state"]) == 1
    assert "already serves" in capsys.readouterr().err
    assert state.journal.exists()
    assert server_pid(state) is not None


def test_a_lock_that_was_deleted_with_its_folder_is_not_held(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def deleted_before(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        state.server_lock.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", deleted_before)
    with single_instance(state):
        assert someone_serves(state)


def test_what_is_not_the_agents_own_stays(state: StateFolder) -> None:
    (state.root / "notes.txt").write_text("mine")
    assert main(["--state", str(state.root), "stop", "--delete-state"]) == 0
    assert [path.name for path in state.root.iterdir()] == ["notes.txt"]
