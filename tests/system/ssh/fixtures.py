"""A server for tests; `tests/system/conftest.py` offers it to every test in its folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .server import SshServer


@pytest.fixture
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """A running server with a folder of its own."""
    folder: Path = tmp_path_factory.mktemp("sshd")
    with SshServer(folder) as server:
        yield server
