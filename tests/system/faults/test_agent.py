"""The agent and its workers die, hang, or are of another version."""

import os
import signal
import sys
from pathlib import Path

import pytest

from .board import Board, wait_until
from .cgroup import exhausted_memory
from .conftest import Collect, Reference
from .dataset import assert_same, read_dataset
from .table import FaultTable
from .test_link import during_a_measurement

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[3]
OTHER_VERSION = (
    "import sys; import hytnas_agent.protocol as protocol; {change}; sys.path.append({root!r}); "
    "from tests.calm_agent import calm, main; calm(); sys.exit(main())"
)


def other_version(change: str) -> list[str]:
    """The program of an agent in which one thing is different."""
    path = os.environ.get("PYTHONPATH")
    environment = ["env", f"PYTHONPATH={path}"] if path else []
    return [*environment, sys.executable, "-P", "-c", OTHER_VERSION.format(change=change, root=str(ROOT))]


def test_agent_killed(board: Board, collect: Collect, reference: Reference, faults: FaultTable) -> None:
    collection = collect(board)
    collection.start()
    during_a_measurement(collection, board)
    worker = board.worker_pid
    board.stop_agent(signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{worker}/cmdline").exists() or worker is None, "the worker's end")
    status, said = collection.wait()
    assert status == 0, said
    assert_same(collection.study, reference.data, board)
    faults.add(
        "agent killed in the middle of a job",
        "SIGKILL to its server while a worker measures",
        "the worker went with it; the host started the agent again over SSH and asked for the job again",
    )


@pytest.mark.parametrize(
    ("number", "outcome", "fault", "provoked"),
    [
        (signal.SIGSEGV, "CRASH", "worker segfaults", "SIGSEGV to the process that measures"),
        (signal.SIGSTOP, "TIMEOUT", "worker hangs", "SIGSTOP to the process that measures; --deadline-s 15"),
    ],
)
def test_worker_fails(
    *,
    board: Board,
    collect: Collect,
    reference: Reference,
    faults: FaultTable,
    number: signal.Signals,
    outcome: str,
    fault: str,
    provoked: str,
) -> None:
    collection = collect(board, options=("--deadline-s", "15"))
    collection.start()
    during_a_measurement(collection, board)
    wait_until(lambda: board.worker_pid, "a worker")
    os.kill(board.worker_pid, number)
    status, said = collection.wait()
    assert status == 0, said
    (ended,) = collection.rows("SELECT outcome, verdict FROM result WHERE outcome != 'OK'")
    # Out of time on a machine on which others worked meanwhile is THROTTLED, and no fact about the model.
    assert ended[0] == outcome or (outcome, *ended) == ("TIMEOUT", "THROTTLED", "INVALID")
    assert_same(collection.study, reference.data, board)
    faults.add(fault, provoked, f"{outcome} on record; the process was measured once more")


def test_worker_out_of_memory(
    board: Board, collect: Collect, reference: Reference, faults: FaultTable
) -> None:
    with exhausted_memory(f"hytnas-test-{os.getpid()}") as processes:
        collection = collect(board)
        collection.start()
        wait_until(lambda: len(board.jobs) > 1 and board.worker_pid, "a worker")
        processes.write_text(str(board.worker_pid))
        status, said = collection.wait()
    assert status == 0, said
    assert collection.rows("SELECT outcome FROM result WHERE outcome != 'OK'") == [("OOM",)]
    assert_same(collection.study, reference.data, board)
    faults.add(
        "worker OOM-killed",
        "the process that measures is put into a control group without memory; the kernel kills it",
        "OOM on record; the process was measured once more",
    )


@pytest.mark.parametrize("major", [0, 2])
def test_agent_of_another_major_version(
    board: Board, collect: Collect, reference: Reference, faults: FaultTable, major: int
) -> None:
    board.serve(other_version(f"protocol.PROTOCOL_MAJOR = {major}"))
    collection = collect(board)
    status, said = collection.run()
    assert status == 1
    assert "Traceback" not in said
    assert f"speaks protocol {major}, the host 1" in said.replace("\n", " ")
    assert f"hytnas-profile device provision {board.name}" in said.replace("\n", " ")
    board.stop_agent()
    collection.finish()
    assert_same(collection.study, reference.data, board)
    faults.add(
        f"agent of protocol {major}",
        "the agent's server is started with another major version",
        "refused in one line that names `hytnas-profile device provision`; exit status 1",
    )


@pytest.mark.parametrize("minor", [0, 9])
def test_agent_of_another_minor_version(
    board: Board, collect: Collect, reference: Reference, faults: FaultTable, minor: int
) -> None:
    old = "import hytnas_agent.server.service as s; s.CAPABILITIES = s.CAPABILITIES[:5]"
    board.serve(other_version(f"protocol.PROTOCOL_MINOR = {minor}" + (f"; {old}" if minor == 0 else "")))
    collection = collect(board)
    collection.start()
    during_a_measurement(collection, board)
    board.proxy.cut()
    status, said = collection.wait()
    assert status == 0, said
    assert_same(collection.study, reference.data, board)
    faults.add(
        f"agent of protocol 1.{minor}",
        "the agent's server is started with another minor version, and the link cut once",
        "both speak the lower minor; collected in one run",
    )


def test_two_hosts(board: Board, collect: Collect, reference: Reference, faults: FaultTable) -> None:
    first = collect(board)
    first.start()
    during_a_measurement(first, board)
    wait_until(lambda: board.worker_pid, "a worker")
    worker = board.worker_pid
    os.kill(worker, signal.SIGSTOP)  # so that the first is not done before the second asks
    second = collect(board, home="another-home")
    status, said = second.run()
    os.kill(worker, signal.SIGCONT)
    said = " ".join(said.split())
    assert status == 1
    assert f"held by {board.sshd.user}@" in said
    assert f"process {first.pid}" in said
    assert "Traceback" not in said
    status, said = first.wait()
    assert status == 0, said
    assert_same(first.study, reference.data, board)
    second.finish()
    assert_same(second.study, reference.data, board)
    assert read_dataset(second.study).rows == reference.data.rows
    faults.add(
        "two hosts want the same board",
        "a second `collect latency` with another identity while the first measures",
        "refused in one line that names the holder, its process and purpose, exit status 1; "
        "the first was not disturbed, and the second collected afterwards",
    )
