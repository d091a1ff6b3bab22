"""The way between host and board breaks."""

import pytest

from .board import Board, wait_until
from .collection import Collection
from .conftest import Collect, Reference
from .dataset import assert_same
from .table import FaultTable

pytestmark = pytest.mark.system


def during_a_measurement(collection: Collection, board: Board) -> None:
    """Return once a job that is not the first is being measured."""
    wait_until(lambda: len(board.jobs) > 1 and board.measuring, "a measurement")


def test_cut_in_a_push(board: Board, collect: Collect, reference: Reference, faults: FaultTable) -> None:
    cuts: list[bool] = []

    def cut() -> None:
        cuts.append(board.uploading)
        board.proxy.cut()

    board.proxy.after("up", 40_000, cut)
    collection = collect(board)
    collection.finish()
    assert cuts == [True], "the link was not cut in the middle of a push"
    assert_same(collection.study, reference.data, board)
    faults.add(
        "link cut in the middle of a push",
        "a TCP relay ends the connection after 40 kB, while the file is in the board's incoming folder",
        "reconnected and pushed again within the same run",
    )


@pytest.mark.parametrize("how", ["cut", "half_close"])
def test_cut_in_a_measurement(
    board: Board, collect: Collect, reference: Reference, faults: FaultTable, how: str
) -> None:
    collection = collect(board)
    collection.start()
    during_a_measurement(collection, board)
    job = board.measuring
    getattr(board.proxy, how)()
    status, said = collection.wait()
    assert status == 0, said
    assert board.jobs[job] == (True, True)
    assert_same(collection.study, reference.data, board)
    faults.add(
        {"cut": "link cut", "half_close": "link half closed"}[how] + " in the middle of a measurement",
        {"cut": "the relay ends both directions", "half_close": "the relay ends the board's direction only"}[
            how
        ]
        + " while a worker measures",
        "the agent finished the job; the host reconnected, took its lease over and got that job's result",
    )


def test_packets_vanish_in_a_measurement(
    board: Board, collect: Collect, reference: Reference, faults: FaultTable
) -> None:
    collection = collect(board)
    collection.configure_ssh("ServerAliveInterval 2\nServerAliveCountMax 1\n")
    collection.start()
    during_a_measurement(collection, board)
    before = board.proxy.connections
    board.proxy.freeze()
    status, said = collection.wait()
    assert status == 0, said
    assert board.proxy.connections > before
    assert_same(collection.study, reference.data, board)
    faults.add(
        "packets vanish in the middle of a measurement",
        "the relay keeps the connection open and passes nothing on; new connections work",
        "the host gave the silent connection up and took its lease over on a new one within the same run",
    )


def test_cut_before_an_acknowledgement(
    board: Board, collect: Collect, reference: Reference, faults: FaultTable
) -> None:
    collection = collect(board)
    collection.start()
    during_a_measurement(collection, board)
    job = board.measuring
    # What the board says next is the result; from then on nothing of the host arrives.
    board.proxy.after("down", 1, lambda: board.proxy.hold("up"))
    wait_until(lambda: job in collection.stored, "the result in the study")
    assert board.jobs[job] == (True, False)
    board.proxy.cut()
    status, said = collection.wait()
    assert status == 0, said
    assert_same(collection.study, reference.data, board)
    faults.add(
        "link cut before an acknowledgement",
        "the relay holds back what the host says once the result has passed, and cuts when it is stored",
        "the host reconnected and acknowledged; the result was neither lost nor measured twice",
    )


def test_bit_flipped_on_the_way(
    board: Board, collect: Collect, reference: Reference, faults: FaultTable
) -> None:
    board.proxy.flip_next("up", after_bytes=40_000)
    collection = collect(board)
    collection.finish()
    assert board.proxy.connections > 1
    assert_same(collection.study, reference.data, board)
    faults.add(
        "bit flipped on the way",
        "the relay flips one bit of a push",
        "SSH noticed and ended the connection; reconnected and pushed again within the same run",
    )
