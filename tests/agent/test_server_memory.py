"""How much memory the server takes under a flood of garbage; a board has 1 GB."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hytnas_agent.connect import open_socket
from hytnas_agent.paths import StateFolder
from hytnas_agent.protocol import MAX_MESSAGE_BYTES, HelloParams, TokenParams
from hytnas_agent.server.service import MAX_CLIENTS
from hytnas_agent.wire import encode_request

from .conftest import AgentUnderTest, server_pid, wait_until

FLOODERS = 8
FLOOD_BYTES = 12 * 1024 * 1024
# A line as long as allowed for each of them, and some answers that nobody takes; 6 MiB were seen.
BOUND_BYTES = FLOODERS * (MAX_MESSAGE_BYTES + 1024 * 1024)

Connect = Callable[..., AgentUnderTest]


def resident_peak_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def flood(state: StateFolder, pieces: list[bytes]) -> None:
    """Send pieces over and over, reading nothing, until the server takes no more or it is enough."""
    sock = open_socket(state)
    sock.settimeout(1.0)
    sent = 0
    try:
        while sent < FLOOD_BYTES:
            for piece in pieces:
                sock.sendall(piece)
                sent += len(piece)
    except (TimeoutError, ConnectionError):
        pass
    FLOODED.append(sock)


FLOODED: list[socket.socket] = []


def test_a_flood_of_garbage_takes_bounded_memory(connect: Connect, state: StateFolder) -> None:
    agent = connect()
    pid = server_pid(state)
    before = resident_peak_bytes(pid)
    rng = np.random.default_rng(5)
    hello = encode_request(1, "hello", HelloParams(1, 1, "flood"))
    floods = [
        [rng.bytes(65536)],
        [b"x" * 65536],
        [b"x\n" * 32768],
        [b"\n" * 65536],
        [hello * 400],
        [b'{"jsonrpc":"2.0","id":1,"method":"' + b"y" * (MAX_MESSAGE_BYTES - 100) + b'"}\n'],
        [b"[" * 65536, b"\n"],
        [hello, b'{"jsonrpc":"2.0","id":2,"method":"describe"}\n' * 1000],
    ]
    assert len(floods) == FLOODERS
    threads = [threading.Thread(target=flood, args=(state, pieces)) for pieces in floods]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    agent.hello()  # it answers as ever
    grown = resident_peak_bytes(pid) - before
    while FLOODED:
        FLOODED.pop().close()
    assert grown < BOUND_BYTES, f"{grown / 2**20:.0f} MiB"


def test_any_number_of_silent_clients_leaves_room_for_the_next(connect: Connect, state: StateFolder) -> None:
    agent = connect()
    agent.acquire()
    silent = [open_socket(state) for _ in range(3 * MAX_CLIENTS)]
    for sock in silent[::2]:
        with contextlib.suppress(BrokenPipeError):  # sent away already
            sock.sendall(b'{"jsonrpc":')
    assert connect("another").hello().protocol_major == 1
    agent.ask("heartbeat", TokenParams(agent.token))  # whoever holds the device is not sent away
    descriptors = Path(f"/proc/{server_pid(state)}/fd")
    for sock in silent:
        sock.close()
    wait_until(lambda: len(os.listdir(descriptors)) < MAX_CLIENTS)
