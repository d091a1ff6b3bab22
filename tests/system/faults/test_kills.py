"""The host is killed with SIGKILL, at every stage of the pipeline and at random moments."""

import collections
import contextlib
import signal
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from .board import Board, wait_until
from .collection import Collection
from .conftest import NETWORKS, Collect, Reference
from .dataset import assert_same
from .stages import STAGES, stage_of
from .table import FaultTable

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]

SEED = 20240
JOBS = 3 * NETWORKS  # two timed processes and one memory pass each, canaries apart


class Killer:
    """Kills one host after the other that works on the same study, and logs at which stage it was.

    Attributes
    ----------
    log : list of (how, stage)
        How the moment was chosen, and what the host was at.
    """

    def __init__(self, board: Board, log: list[tuple[str, str]]) -> None:
        self.board = board
        self.log = log

    def strike(self, collection: Collection, how: str) -> str:
        """Stop the host, look what it is at, and kill it."""
        collection.signal(signal.SIGSTOP)
        stage = stage_of(collection, self.board, networks=NETWORKS)
        collection.kill()
        self.log.append((how, stage))
        self.board.proxy.rule = None
        self.board.proxy.cut()
        return stage

    def at(self, stage: str, collection: Collection) -> None:
        """Start the host and kill it at this stage; the study must not be past it."""
        with self._led_to(stage, collection):
            pass
        assert self.log[-1] == ("stage", stage), f"missed {stage}: {self.log[-1]}"

    @contextlib.contextmanager
    def _led_to(self, stage: str, collection: Collection) -> Iterator[None]:
        lead: Callable[[Collection], contextlib.AbstractContextManager[None]] = getattr(self, f"_{stage}")
        with lead(collection):
            self.strike(collection, "stage")
            yield

    @contextlib.contextmanager
    def _sampling(self, collection: Collection) -> Iterator[None]:
        collection.start()
        wait_until(lambda: collection.count("run"), "the run in the study")
        yield

    @contextlib.contextmanager
    def _exporting(self, collection: Collection) -> Iterator[None]:
        collection.start()
        wait_until(lambda: collection.count("export"), "the first export")
        yield

    @contextlib.contextmanager
    def _pushing(self, collection: Collection) -> Iterator[None]:
        # Held after 40 kB, in the middle of the first file.
        self.board.proxy.after("up", 40_000, lambda: self.board.proxy.hold("up"))
        collection.start()
        wait_until(lambda: self.board.uploading, "an upload")
        yield

    @contextlib.contextmanager
    def _measuring(self, collection: Collection) -> Iterator[None]:
        known = set(self.board.jobs)
        collection.start()
        wait_until(lambda: self.board.measuring not in known | {None}, "a measurement")
        yield

    @contextlib.contextmanager
    def _storing(self, collection: Collection) -> Iterator[None]:
        with self._measuring(collection), collection.locked():
            # The host has the result, and waits for a study that somebody else is writing.
            wait_until(lambda: not self.board.measuring, "a result")
            time.sleep(0.2)
            yield

    @contextlib.contextmanager
    def _acknowledging(self, collection: Collection) -> Iterator[None]:
        with self._measuring(collection):
            job = self.board.measuring
            self.board.proxy.after("down", 1, lambda: self.board.proxy.hold("up"))
            wait_until(lambda: job in collection.stored, "the result in the study")
            yield

    @contextlib.contextmanager
    def _labelling(self, collection: Collection) -> Iterator[None]:
        collection.start()
        # By process: a disturbed one is measured again. Memory passes, which come last, never are.
        done = (
            "SELECT DISTINCT model_sha256, measure_pass, replicate FROM result "
            "WHERE purpose = 'latency' AND outcome = 'OK'"
        )
        wait_until(
            lambda: len(collection.rows(done)) == JOBS - 1 and self.board.measuring, "the last measurement"
        )
        # The last acknowledgement is held back until somebody else is writing the study.
        self.board.proxy.after("down", 1, lambda: self.board.proxy.hold("up"))
        wait_until(lambda: len(collection.rows(done)) == JOBS, "the last result in the study")
        with collection.locked():
            self.board.proxy.let_go()
            wait_until(lambda: not self.board.unacknowledged, "the last acknowledgement")
            yield


@pytest.fixture
def killer(board: Board, pytestconfig: pytest.Config) -> Iterator[Killer]:
    killer = Killer(board, [])
    yield killer
    if not pytestconfig.pluginmanager.hasplugin("terminalreporter"):
        return  # one of several processes, which have no terminal
    lines = [f"host killed {len(killer.log)} times, at:"]
    lines += [f"  {stage:<14} ({how})" for how, stage in killer.log]
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        pytestconfig.get_terminal_writer().line("\n" + "\n".join(lines))


def test_killed_host_goes_on_where_it_was(
    killer: Killer, collect: Collect, reference: Reference, faults: FaultTable, pytestconfig: pytest.Config
) -> None:
    kills = pytestconfig.getoption("--host-kills")
    rng = np.random.default_rng(SEED)
    board = killer.board
    collection = collect(board, exported=False)
    killer.at("sampling", collection)
    killer.at("exporting", collection)
    killer.at("pushing", collection)
    killer.at("measuring", collection)
    killer.at("storing", collection)
    killer.at("acknowledging", collection)
    killer.at("labelling", collection)
    collection.finish()
    assert_same(collection.study, reference.data, board)

    collection = collect(board, exported=False)
    while len(killer.log) < kills:
        moment_s = rng.uniform(0, reference.duration_s)
        collection.start()
        if collection.runs_for(moment_s):
            killer.strike(collection, f"{moment_s:.1f} s")
        else:
            status, said = collection.wait()
            assert status == 0, said
            assert_same(collection.study, reference.data, board)
            collection = collect(board, exported=False)
    collection.finish()
    assert_same(collection.study, reference.data, board)

    hit = collections.Counter(stage for _, stage in killer.log)
    assert set(STAGES) <= set(hit)
    faults.add(
        f"host killed with SIGKILL {len(killer.log)} times",
        f"at each stage, and at random moments (seed {SEED}): "
        + ", ".join(f"{count} {stage}" for stage, count in hit.most_common()),
        "the same command again went on; data set equal, nothing measured twice",
    )
