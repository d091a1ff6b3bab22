"""Waiting for a fit board, against a clock that only pauses move."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from hytnas_agent.core_speed import CoreSpeed
from hytnas_agent.device.gate import MAX_WAIT_S, MIN_SPEED_PATIENCE_S, SPEED_PATIENCE_S, Gate
from hytnas_agent.device.health import health_snapshot
from hytnas_agent.records import GateReport, HealthSnapshot, Verdict

from .conftest import CORES


@dataclass
class Board:
    """A board whose state is a function of time."""

    temperature: Callable[[float], float] = lambda now: 48.0
    busy: Callable[[float], bool] = lambda now: False
    now: float = 0.0
    busy_s: float = 0.0
    cancelled_at: float = float("inf")
    pauses: list[float] = field(default_factory=list)

    def snapshot(self, cores: Sequence[int]) -> HealthSnapshot:
        return HealthSnapshot(
            self.now,
            monotonic_s=self.now,
            cores=tuple(cores),
            core_busy_s=self.busy_s,
            temperature_celsius=self.temperature(self.now),
            temperature_limit_celsius=80.0,
        )

    def pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self.busy_s += seconds * self.busy(self.now)
        self.now += seconds
        return self.now >= self.cancelled_at

    def gate(self) -> Gate:
        return Gate(self.snapshot, lambda: self.now)


def test_a_fit_board_costs_a_tenth_of_a_second() -> None:
    board = Board()
    assert board.gate().wait(CORES, board.pause) == GateReport(0.1)


def test_after_an_undisturbed_process_a_fit_board_costs_nothing() -> None:
    board = Board()
    gate = board.gate()
    gate.remember(board.snapshot(CORES), Verdict("VALID_UNVERIFIED", unverified=("clock",)))
    assert gate.wait(CORES, board.pause) == GateReport(0.0)
    assert gate.wait(CORES, board.pause) == GateReport(0.1)


@pytest.mark.parametrize(
    ("verdict", "cores", "passed_s", "busy"),
    [
        pytest.param(
            Verdict("INVALID", ("other processes took 40% of core 3",)), CORES, 0.0, False, id="disturbed"
        ),
        pytest.param(None, CORES, 0.0, False, id="not-judged"),
        pytest.param(Verdict("VALID"), (0,), 0.0, False, id="other-cores"),
        pytest.param(Verdict("VALID"), CORES, 1.5, False, id="long-ago"),
        pytest.param(Verdict("VALID"), CORES, 0.5, True, id="busy-since"),
    ],
)
def test_the_board_is_looked_at_unless_it_was_just_fit(verdict, cores, passed_s, busy) -> None:
    board = Board(busy=lambda now: busy and now < 0.5)
    gate = board.gate()
    gate.remember(board.snapshot(cores), verdict)
    board.pause(passed_s)
    assert gate.wait(CORES, board.pause).waited_s == pytest.approx(0.1)


def test_heat_after_an_undisturbed_process_is_waited_for() -> None:
    board = Board(temperature=lambda now: 72.0 - now)
    gate = board.gate()
    gate.remember(board.snapshot(CORES), Verdict("VALID"))
    assert gate.wait(CORES, board.pause).waited_s >= 2


def test_patience_comes_back_after_an_undisturbed_process() -> None:
    board = Board(temperature=lambda now: 75.0)
    gate = board.gate()
    waits = [gate.wait(CORES, board.pause).waited_s for _ in range(4)]
    assert waits[0] > 100
    assert waits[-1] < 20
    board.temperature = lambda now: 60.0
    gate.remember(board.snapshot(CORES), Verdict("VALID"))
    assert gate.wait(CORES, board.pause) == GateReport(0.0)
    board.temperature = lambda now: 75.0
    assert gate.wait(CORES, board.pause).waited_s >= waits[0]


@pytest.mark.parametrize(("gap_s", "looked"), [(0.02, False), (0.04, True)])
def test_who_began_in_a_gap_of_few_ticks_is_left_to_the_verdict(gap_s: float, looked: bool) -> None:
    board = Board(busy=lambda now: True)
    gate = board.gate()
    gate.remember(board.snapshot(CORES), Verdict("VALID"))
    board.pause(gap_s)
    assert bool(gate.wait(CORES, board.pause).waited_for) is looked


def test_heat_is_waited_for_until_it_is_gone() -> None:
    board = Board(temperature=lambda now: 82.0 - now)
    report = board.gate().wait(CORES, board.pause)
    assert report is not None
    assert 12 <= report.waited_s <= 14.1
    assert report.given_up == ()
    assert "degrees Celsius, above 70" in report.waited_for[0]


def test_no_wait_is_endless() -> None:
    board = Board(temperature=lambda now: 85.0, busy=lambda now: True)
    report = board.gate().wait(CORES, board.pause)
    assert report is not None
    assert 120 <= report.waited_s <= MAX_WAIT_S
    assert report.given_up == ("85 degrees Celsius, above 70", "core 3 100% busy")


def test_a_core_that_is_always_busy_soon_costs_little() -> None:
    board = Board(busy=lambda now: True)
    gate = board.gate()
    waits = [gate.wait(CORES, board.pause).waited_s for _ in range(8)]
    assert 3.0 <= waits[0] < 5.2
    assert waits == sorted(waits, reverse=True)
    assert waits[-1] < 1


def test_a_weak_supply_that_stays_soon_costs_little_and_is_still_said(tree) -> None:
    board, sources = Board(), tree("under-voltage-now")
    gate = Gate(lambda cores: health_snapshot(cores, sources), lambda: board.now)
    reports = [gate.wait(CORES, board.pause) for _ in range(12)]
    assert reports[0].waited_s > 100
    assert reports[-1].waited_s <= 1.6
    assert all(report.given_up == ("under voltage, throttled",) for report in reports)


def test_patience_comes_back_with_a_quiet_core() -> None:
    board = Board(busy=lambda now: now < 20)
    gate = board.gate()
    while board.now < 25:
        gate.wait(CORES, board.pause)
    board.busy = lambda now: True
    assert gate.wait(CORES, board.pause).waited_s >= 3.0


def test_a_pause_in_somebody_elses_work_is_taken() -> None:
    board = Board(busy=lambda now: now < 1.4)
    report = board.gate().wait(CORES, board.pause)
    assert report.given_up == ()
    assert 1.4 < report.waited_s < 4
    assert "busy" in report.waited_for[0]


def test_a_cancelled_job_waits_no_longer() -> None:
    board = Board(temperature=lambda now: 85.0, cancelled_at=5.0)
    assert board.gate().wait(CORES, board.pause) is None
    assert board.now < 8


def test_the_trees_hold_a_measurement_back(tree) -> None:
    held = {}
    for name in ("healthy", "throttled-82c", "under-voltage-now", "under-voltage-sticky", "emulated"):
        board, sources = Board(), tree(name)
        gate = Gate(lambda cores, sources=sources: health_snapshot(cores, sources), lambda b=board: b.now)
        held[name] = gate.wait(CORES, board.pause).given_up
    assert held == {
        "healthy": (),
        "throttled-82c": ("throttled, soft temperature limit", "82 degrees Celsius, above 70"),
        "under-voltage-now": ("under voltage, throttled",),
        "under-voltage-sticky": (),
        "emulated": (),
    }


def test_a_core_that_stays_slow_is_waited_for_ever_shorter_until_it_was_fast() -> None:
    board = Board()
    gate = board.gate()
    limits_s = []
    for _ in range(5):
        limits_s.append(gate.speed_patience_s)
        vain = CoreSpeed(40.0, (52.0,), (), waited_before_s=limits_s[-1], wait_limit_s=limits_s[-1])
        gate.remember(board.snapshot(CORES), Verdict("INVALID", ("slow",)), vain)
    assert limits_s == [SPEED_PATIENCE_S, 5.0, 2.5, MIN_SPEED_PATIENCE_S, MIN_SPEED_PATIENCE_S]
    gate.remember(board.snapshot(CORES), None)
    assert gate.speed_patience_s == MIN_SPEED_PATIENCE_S
    fast = CoreSpeed(40.0, (40.0, 40.0), (0,), waited_before_s=0.5, wait_limit_s=2.0)
    gate.remember(board.snapshot(CORES), Verdict("VALID"), fast)
    assert gate.speed_patience_s == SPEED_PATIENCE_S
