"""``hytnas-agent connect``: the bridge, and the server that it starts."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hytnas_agent import protocol, wire
from hytnas_agent.connect import bridge, open_socket
from hytnas_agent.paths import StateFolder

from .conftest import server_pid, start_server, wait_until

HELLO = wire.encode_request(1, "hello", protocol.HelloParams(1, 0, "me"))


@contextmanager
def bridged(state: StateFolder) -> Iterator[subprocess.Popen[bytes]]:
    """``hytnas-agent connect`` as a child process, ended with the end of its input."""
    command = [
        sys.executable,
        "-m",
        "hytnas_agent",
        "--state",
        str(state.root),
        "connect",
        "--idle-exit-s",
        "60",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process


def say_hello(process: subprocess.Popen[bytes]) -> protocol.HelloResult:
    process.stdin.write(HELLO)
    process.stdin.flush()
    response = wire.decode_reply(process.stdout.readline())
    return wire.decode_result(response, protocol.HelloResult)


def test_it_starts_a_server_that_outlives_it(state: StateFolder) -> None:
    with bridged(state) as process:
        hello = say_hello(process)
        assert hello.agent_pid != process.pid
        assert os.getsid(hello.agent_pid) == hello.agent_pid
    assert process.returncode == 0
    with bridged(state) as process:
        assert say_hello(process).agent_pid == hello.agent_pid


def test_several_that_start_at_once_share_one_server(state: StateFolder) -> None:
    with bridged(state) as one, bridged(state) as two, bridged(state) as three:
        pids = {say_hello(process).agent_pid for process in (one, two, three)}
    assert pids == {server_pid(state)}
    wait_until(lambda: servers_of(state) == pids)


def servers_of(state: StateFolder) -> set[int]:
    """The processes that serve the state folder, or are on their way to."""
    found = set()
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = command.read_bytes().split(b"\0")
            if os.fsencode(state.root) in words and b"serve" in words:
                found.add(int(command.parent.name))
    return found


def test_a_socket_left_by_a_killed_server_is_replaced(state: StateFolder) -> None:
    server = start_server(state)
    server.send_signal(signal.SIGKILL)
    server.wait()
    assert state.socket.exists()
    assert open_socket(state) is None
    with bridged(state) as process:
        assert say_hello(process).agent_pid != server.pid


def test_a_second_server_is_refused_with_the_pid_of_the_first(state: StateFolder) -> None:
    server = start_server(state)
    command = [sys.executable, "-m", "hytnas_agent", "--state", str(state.root), "serve"]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"(pid {server.pid}) already serves" in second.stderr
    assert len(second.stderr.splitlines()) == 1
    assert server_pid(state) == server.pid


def test_a_server_that_cannot_start_says_why(state: StateFolder) -> None:
    state.journal.write_bytes(b"not a database, but long enough to be looked at" * 50)
    command = [sys.executable, "-m", "hytnas_agent", "--state", str(state.root), "connect"]
    process = subprocess.run(command, input=HELLO, capture_output=True, check=False)
    assert process.returncode == 1
    assert b"journal" in process.stderr
    assert b"Move it away" in process.stderr


def test_the_bridge_ends_with_either_side() -> None:
    for end_input in (True, False):
        near, far = socket.socketpair()
        (input_read, input_write), (output_read, output_write) = os.pipe(), os.pipe()
        thread = threading.Thread(target=bridge, args=(near, input_read, output_write))
        thread.start()
        os.write(input_write, b"to the agent")
        assert far.recv(100) == b"to the agent"
        far.sendall(b"from the agent")
        assert os.read(output_read, 100) == b"from the agent"
        if end_input:
            os.close(input_write)
            assert far.recv(100) == b""
            far.sendall(b"last words")
            assert os.read(output_read, 100) == b"last words"
        far.close()
        thread.join(60)
        assert not thread.is_alive()
        near.close()
        for descriptor in (input_read, output_read, output_write, *([] if end_input else [input_write])):
            os.close(descriptor)


def test_the_bridge_ends_when_nobody_reads_any_more() -> None:
    near, far = socket.socketpair()
    (input_read, input_write), (output_read, output_write) = os.pipe(), os.pipe()
    os.close(output_read)
    far.sendall(b"to nobody")
    bridge(near, input_read, output_write)
    for descriptor in (input_read, input_write, output_write):
        os.close(descriptor)
    near.close()
    far.close()


def test_a_socket_that_cannot_be_made_is_one_clear_line(state: StateFolder) -> None:
    state.socket.mkdir()
    command = [sys.executable, "-m", "hytnas_agent", "--state", str(state.root), "serve"]
    server = subprocess.run(command, capture_output=True, text=True, check=False)
    assert server.returncode == 1
    assert server.stderr == f"hytnas-agent: the socket {state.socket} cannot be made: Is a directory\n"
    state.socket.rmdir()
