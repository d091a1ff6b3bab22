"""The host is killed with SIGKILL, at every stage of the pipeline and at random moments."""

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from .board import Board, wait_until
from .collection import Collection
from .conftest import NETWORKS, Collect, Reference
from .dataset import assert_same
from .stages import STAGES, stage_of
from .table import FaultTable

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

SEED = 20240
OUTCOME = "the same command again went on; data set equal, nothing measured twice"
# A random moment is a number of events and a pause after the start. A time alone would depend on the
# machine: if the runs are faster than the one before them, most moments come after the end.
MAX_EVENTS = 4
MAX_PAUSE_S = 2.0
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
        # The sample is there within some 30 ms.
        wait_until(lambda: collection.count("run"), "the run in the study", every_s=0.001)
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


def progress(collection: Collection, board: Board) -> int:
    """How many things have happened: what is in the study and in the agent's journal."""
    tables = ("run", "sample", "export", "result", "latency_label")
    return sum(collection.count(table) for table in tables) + len(board.jobs)


def hits(killer: Killer) -> str:
    """How often the host was killed at each stage."""
    return ", ".join(f"{count} {stage}" for stage, count in Counter(at for _, at in killer.log).most_common())


def test_host_killed_at_each_stage(
    killer: Killer, collect: Collect, reference: Reference, faults: FaultTable
) -> None:
    collection = collect(killer.board, exported=False)
    for stage in STAGES:
        killer.at(stage, collection)
    collection.finish()
    assert_same(collection.study, reference.data, killer.board)
    faults.add(
        f"host killed with SIGKILL {len(killer.log)} times",
        f"once at each stage: {hits(killer)}",
        OUTCOME,
    )


@pytest.mark.parametrize("exported", [False, True], ids=["from the start", "exports made"])
def test_host_killed_at_random_moments(
    *,
    killer: Killer,
    collect: Collect,
    reference: Reference,
    faults: FaultTable,
    pytestconfig: pytest.Config,
    exported: bool,
) -> None:
    random_kills = pytestconfig.getoption("--host-kills") - len(STAGES)
    kills = (random_kills + exported) // 2  # two tests share them
    rng = np.random.default_rng([SEED, exported])
    collection = collect(killer.board, exported=exported)
    while len(killer.log) < kills:
        events = int(rng.integers(MAX_EVENTS, endpoint=True))
        pause_s = rng.uniform(0, MAX_PAUSE_S)
        goal = progress(collection, killer.board) + events
        collection.start()
        wait_until(
            lambda goal=goal, collection=collection: (
                progress(collection, killer.board) >= goal or not collection.running
            ),
            f"{events} events",
        )
        if collection.runs_for(pause_s):
            killer.strike(collection, f"{pause_s:.1f} s after {events} events")
        else:
            status, said = collection.wait()
            assert status == 0, said
            assert_same(collection.study, reference.data, killer.board)
            collection = collect(killer.board, exported=exported)
    collection.finish()
    assert_same(collection.study, reference.data, killer.board)
    faults.add(
        f"host killed with SIGKILL {len(killer.log)} times",
        f"at random moments (seed {SEED}), {'with the exports made' if exported else 'from the start'}: "
        + hits(killer),
        OUTCOME,
    )
