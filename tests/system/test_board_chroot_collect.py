"""Collecting on emulated boards over SSH, by the commands a person types: both runtimes, and a fleet."""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from hytnas_host.provision.project_wheel import project_wheel

from ..agent.runtimes.tflite_files import linear, relu
from .board import ChrootBoard
from .board.host import Host
from .board.study import (
    SMALL,
    WORDS,
    assert_complete,
    assert_nothing_waits,
    assert_recognised,
    assert_says_emulated,
    exactly,
)
from .faults.table import FaultTable

pytestmark = pytest.mark.board

COLLECT = ("collect", "latency")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.close()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toolkit's, made once."""
    return project_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def provisioned(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChrootBoard]:
    """A board that is off and has an agent with two runtimes, to be copied."""
    with ChrootBoard("original") as board:
        host = Host(tmp_path_factory.mktemp("host"))
        host.enrol(board)
        host.run("device", "provision", board.name, "--wheel", wheel)
        board.stop()
        yield board


@pytest.fixture
def add_board(provisioned: ChrootBoard, wheel: Path, host: Host) -> Iterator[Callable[[str], ChrootBoard]]:
    """Start copies of the provisioned board, by name, each on the next core, and make them known."""
    cores = itertools.cycle(sorted(os.sched_getaffinity(0), reverse=True))
    with ExitStack() as stack:

        def add(name: str) -> ChrootBoard:
            board = stack.enter_context(ChrootBoard(name, like=provisioned, core=next(cores)))
            host.enrol(board)
            assert "nothing to do" in host.run("device", "provision", name, "--wheel", wheel)
            return board

        yield add


def test_both_runtimes_measure(add_board: Callable[[str], ChrootBoard], host: Host) -> None:
    board = add_board("shelf")
    assert_recognised(board)
    files = host.folder / "files"
    files.mkdir()
    (files / "relu.tflite").write_bytes(relu())
    (files / "linear.tflite").write_bytes(linear(np.ones((2, 4), np.float32)))
    studies = {"onnx": (*SMALL, "--n", 2), "tflite": ("--models", files)}
    for study, models in studies.items():
        options = ("--study", host.folder / study, "--device", board.name, *exactly(2))
        assert WORDS in host.run(*COLLECT, *options, *models)
        assert_complete(host.folder / study, models=2, processes=2)
    assert_nothing_waits([board], *(host.folder / study for study in studies))


def test_a_fleet_loses_a_board_and_has_it_back(
    add_board: Callable[[str], ChrootBoard], host: Host, faults: FaultTable
) -> None:
    one, two = add_board("one"), add_board("two")
    study = host.folder / "study"
    devices = ("--device", one.name, "--device", two.name)
    # Fewer than four models a board are not shared. That the canaries of boards agree closely is not to be
    # expected where they are two programs on one machine.
    options = (*SMALL, "--n", 8, *exactly(1), "--board-tolerance", 20)
    collection = host.start(*COLLECT, "--study", study, *devices, *options)
    collection.wait_until_it_says(": 4/16", 900)
    two.stop()
    collection.wait_until_it_says("two is lost", 300)
    two.start()
    collection.wait_until_it_says("two rejoined", 300)
    assert collection.wait(900) == 0, collection.said
    assert WORDS in collection.said

    assert_complete(study, models=8, processes=1)
    assert_nothing_waits([one, two], study)
    assert_says_emulated(host, study)
    faults.add(
        "one of two boards loses its power in the middle of a batch (arm64 under qemu-user)",
        "all its processes are killed when 4 of 16 processes are over; it is started again once it is missed",
        "it gave its models back and rejoined within the same run; every model has one label, every process "
        "is on record once",
    )
