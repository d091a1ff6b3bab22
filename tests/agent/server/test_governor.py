"""A server pins the clock while it is held and puts it back however that ends, against a made-up /sys."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hytnas_agent import protocol
from hytnas_agent.connect import open_socket
from hytnas_agent.device.governor import PinnedGovernors, governors
from hytnas_agent.paths import StateFolder
from hytnas_agent.records import Outcome
from hytnas_agent.stop import stop_server

from ..conftest import AgentUnderTest, Models, make_cores, server_pid, start_endless, wait_until, worker_of

SERVE = (
    "import functools, pathlib, sys; from hytnas_agent.paths import StateFolder;"
    "from hytnas_agent.server import serve;"
    "serve.PinnedGovernors = functools.partial(serve.PinnedGovernors, root=pathlib.Path(sys.argv[2]));"
    "serve.serve(StateFolder(pathlib.Path(sys.argv[1])))"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_cores(tmp_path, "cpu0")


@pytest.fixture
def start(state: StateFolder, root: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def make() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", SERVE, str(state.root), str(root)]))
        wait_until(lambda: server_pid(state) == started[-1].pid)
        return started[-1]

    yield make
    for server in started:
        server.kill()
        server.wait()


@pytest.fixture
def agent(state: StateFolder, start: Callable[[], object]) -> Iterator[AgentUnderTest]:
    start()
    agent = AgentUnderTest(state, open_socket(state))
    agent.hello()
    yield agent
    agent.close()


def now(root: Path) -> str | None:
    """The governor; None while the file is being written, which one of sysfs never is half."""
    return governors(root).get("cpu0")


def test_it_is_pinned_by_the_lease_and_freed_with_it(agent: AgentUnderTest, root: Path) -> None:
    assert now(root) == "ondemand"
    agent.acquire()
    assert now(root) == "performance"
    agent.ask("release", protocol.TokenParams(agent.token))
    assert now(root) == "ondemand"


def test_a_host_that_vanishes_frees_it(agent: AgentUnderTest, root: Path) -> None:
    agent.acquire()
    assert now(root) == "performance"
    agent.close()
    wait_until(lambda: now(root) == "ondemand")


def test_a_killed_worker_changes_nothing_about_that(
    agent: AgentUnderTest, root: Path, models: Models
) -> None:
    agent.acquire()
    agent.upload(models.endless)
    asked = start_endless(agent, models)
    os.kill(worker_of(agent.state, "endless"), signal.SIGKILL)
    response = agent.receive()
    assert response.id == asked
    assert now(root) == "performance"
    assert agent.ask("result", protocol.ResultParams()).results[0].outcome is Outcome.CRASH
    agent.ask("release", protocol.TokenParams(agent.token))
    assert now(root) == "ondemand"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_end_frees_it(agent: AgentUnderTest, root: Path, number: int) -> None:
    agent.acquire()
    assert now(root) == "performance"
    os.kill(server_pid(agent.state), number)
    wait_until(lambda: now(root) == "ondemand")


def test_the_next_server_frees_what_a_killed_one_had_pinned(
    agent: AgentUnderTest, root: Path, start: Callable[[], object]
) -> None:
    agent.acquire()
    os.kill(server_pid(agent.state), signal.SIGKILL)
    wait_until(lambda: server_pid(agent.state) is None)
    assert now(root) == "performance"
    start()
    assert now(root) == "ondemand"


def test_stop_frees_what_a_killed_one_had_pinned(
    agent: AgentUnderTest, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.acquire()
    os.kill(server_pid(agent.state), signal.SIGKILL)
    wait_until(lambda: server_pid(agent.state) is None)
    monkeypatch.setattr("hytnas_agent.stop.PinnedGovernors", lambda path: PinnedGovernors(path, root))
    stop_server(agent.state, timeout_s=60)
    assert now(root) == "ondemand"
