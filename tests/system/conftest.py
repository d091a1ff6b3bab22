"""The boards and servers that tests of this folder may ask for, and what their markers mean."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .board.fixtures import chroot_board, full_board, make_chroot_board
from .faults.table import FaultTable
from .ssh.fixtures import sshd

__all__ = ["chroot_board", "full_board", "make_chroot_board", "sshd"]

_TIMEOUT_S = {"board": 1200, "board_full": 3600}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "board: needs the emulated board in a chroot (make board-test)")
    config.addinivalue_line("markers", "board_full: needs the fully emulated board (make board-full)")


@pytest.fixture(scope="session")
def faults(pytestconfig: pytest.Config) -> Iterator[FaultTable]:
    """Where each test notes its fault; see the option ``--fault-table``."""
    table = FaultTable()
    yield table
    for file in pytestconfig.getoption("--fault-table"):
        table.write(Path(file))


@pytest.hookimpl(tryfirst=True)  # before -m chooses among them
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Board tests are system tests, and take their time."""
    for item in items:
        for name, seconds in _TIMEOUT_S.items():
            if item.get_closest_marker(name):
                item.add_marker("system")
                if not item.get_closest_marker("timeout"):
                    item.add_marker(pytest.mark.timeout(seconds))
