"""Boards for the tests; `tests/system/conftest.py` offers them to every test in its folder."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from .chroot import ChrootBoard
from .full import FullBoard


@pytest.fixture
def make_chroot_board() -> Iterator[Callable[[str], ChrootBoard]]:
    """Start chroot boards by host name, for tests of several; each as good as new."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(ChrootBoard(name))


@pytest.fixture
def chroot_board() -> Iterator[ChrootBoard]:
    """A chroot board that is on, as good as new."""
    with ChrootBoard() as board:
        yield board


@pytest.fixture(scope="module")
def full_board() -> Iterator[FullBoard]:
    """A full board that is on. One for all tests of a module, because it boots for minutes."""
    with FullBoard() as board:
        yield board
