"""An undisturbed run to compare with, and what each fault test starts from."""

import fcntl
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from .board import Board, wait_until
from .collection import Collection
from .dataset import DataSet, read_dataset

NETWORKS = 2
# As many processes each time, whatever the noise: data sets are compared.
FIXED = ("--processes", "2", "--max-processes", "2", "--drift-tolerance", "100")
OPTIONS = ("--n", str(NETWORKS), *FIXED, "--resolution", "32")


@dataclass(frozen=True)
class Reference:
    """An undisturbed collection.

    Attributes
    ----------
    data : DataSet
        What it gave.
    exported : Path
        A study whose exports are made, and nothing measured.
    """

    data: DataSet
    exported: Path


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """Made once, by the first of several processes that needs it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "undisturbed"
    folder.mkdir(exist_ok=True)
    made = folder / "made"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _collect_undisturbed(folder)
            made.touch()
    return Reference(read_dataset(folder / "study"), folder / "exported")


def _collect_undisturbed(folder: Path) -> None:
    """Fill ``study`` and ``exported`` in this folder."""
    with Board(folder / "board") as board:
        collection = Collection(
            folder / "study", [board.name], board.inventory.path, folder / "home", OPTIONS
        )
        collection.start()
        wait_until(lambda: board.measuring, "the first job")
        # Stopped for a moment, so that nothing is written while it is copied.
        collection.signal(signal.SIGSTOP)
        shutil.copytree(folder / "study", folder / "exported")
        collection.signal(signal.SIGCONT)
        status, said = collection.wait()
        assert status == 0, said
        data = read_dataset(folder / "study")
        assert len(data.rows["labels"]) == NETWORKS
        assert {row[-1] for row in data.rows["results"]} == {"OK"}
        assert board.unacknowledged == []


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with Board(tmp_path / "board") as board:
        yield board


Collect = Callable[..., Collection]


@pytest.fixture
def collect(tmp_path: Path, reference: Reference) -> Iterator[Collect]:
    """Makes collections; by default with the exports made, so that a fault on the device comes soon."""
    made: list[Collection] = []

    def make(
        *boards: Board,
        home: str = "home",
        exported: bool = True,
        study: Path | None = None,
        options: Sequence[str] = (),
    ) -> Collection:
        folder = study or tmp_path / f"study-{len(made)}"
        if exported and not folder.exists():
            shutil.copytree(reference.exported, folder)
        names = [board.name for board in boards]
        options = (*OPTIONS, *options)
        made.append(Collection(folder, names, boards[0].inventory.path, tmp_path / home, options))
        return made[-1]

    yield make
    for collection in made:
        if collection.running:
            collection.kill()
