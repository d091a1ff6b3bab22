"""What the tests of several rooms of the host share."""

from collections.abc import Iterator

import pytest
from tests.calm_agent import RUNTIMES_VARIABLE

from .exports_here import EXPORT_POOL, PoolHere


@pytest.fixture(scope="session", autouse=True)
def state_home_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Locks and identities are not the user's: no test waits for a timed run of another program.

    What the tests' agents find out about runtimes is kept between them.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(RUNTIMES_VARIABLE, str(tmp_path_factory.mktemp("runtimes") / "runtimes.json"))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state-home")))
        yield


@pytest.fixture
def exports_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collections export in this process."""
    monkeypatch.setattr(EXPORT_POOL, PoolHere)
