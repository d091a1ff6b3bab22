"""Windows of lasting load: replayed durations, and the signs of throttling."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hytnas_agent.pass_records import SustainedWindow
from hytnas_agent.records import HealthSnapshot
from hytnas_agent.worker.sustained import BURST_S, MAX_WINDOWS, judge_windows, run_windows


@dataclass
class Board:
    """Runs take ``fast_ms`` until ``hot_s``, ``slow_ms`` from then on; a look at its health takes 5 ms."""

    fast_ms: float = 20.0
    slow_ms: float = 20.0
    hot_s: float = 1e9
    now: int = 0

    def clock(self) -> int:
        return self.now

    def run(self) -> None:
        self.now += int(1e6 * (self.fast_ms if self.now < self.hot_s * 1e9 else self.slow_ms))

    def health(self) -> HealthSnapshot:
        self.now += 5_000_000
        return HealthSnapshot(
            0.0, temperature_celsius=60.0, steal_ticks=self.now // 10**9, measured_clock_mhz=1200.0
        )


def windows_of(board: Board, load_s: float) -> list[SustainedWindow]:
    return run_windows(board.run, load_s=load_s, clock=board.clock, health=board.health)


def test_a_window_is_a_second_of_runs() -> None:
    windows = windows_of(Board(), 10.0)
    assert len(windows) == 10
    assert [window.runs for window in windows] == [50] * 10
    assert {window.median_ms for window in windows} == {20.0}
    assert windows[0].end_s == pytest.approx(1.0)
    assert windows[1].end_s == pytest.approx(2.005)
    assert sum(window.steal_ticks or 0 for window in windows) == 10
    assert (windows[0].clock_mhz, windows[0].measured_clock_mhz) == (None, 1200.0)


def test_hours_are_not_cut_into_more_windows_than_fit_a_record() -> None:
    windows = windows_of(Board(fast_ms=100.0), 3600.0)
    assert 0.9 * MAX_WINDOWS <= len(windows) <= MAX_WINDOWS
    assert [window.end_s for window in windows[:5]] == pytest.approx([1, 2, 3, 4, 5], abs=0.2)
    assert windows[6].end_s - windows[5].end_s == pytest.approx(6.0, abs=0.2)


def test_the_burst_is_the_first_seconds_of_a_long_load() -> None:
    """A board that gives in after 8 s of an hour, whose later windows are 6 s long."""
    series = judge_windows(windows_of(Board(fast_ms=100.0, slow_ms=140.0, hot_s=8.0), 3600.0))
    assert (series.burst_ms, series.sustained_ms) == (100.0, 140.0)
    assert series.throttled_after_s == pytest.approx(8.0, abs=6.1)


def test_one_long_window_is_the_burst_of_a_record_without_early_ones() -> None:
    windows = [SustainedWindow(90.0 * (i + 1), 9, 20.0 + i) for i in range(10)]
    assert windows[0].end_s > BURST_S
    assert judge_windows(windows).burst_ms == 20.0


def test_a_run_longer_than_everything_is_one_window() -> None:
    (window,) = windows_of(Board(fast_ms=4000.0), 2.0)
    assert (window.runs, window.median_ms) == (1, 4000.0)


def test_latency_that_rises_for_good_is_throttling() -> None:
    series = judge_windows(windows_of(Board(slow_ms=28.0, hot_s=30.0), 60.0))
    assert series.burst_ms == 20.0
    assert series.sustained_ms == 28.0
    assert series.slowdown == pytest.approx(0.4)
    assert series.throttle_sign == "latency"
    assert series.throttled_after_s == pytest.approx(30.0, abs=1.1)


def test_a_steady_board_does_not_throttle() -> None:
    series = judge_windows(windows_of(Board(), 20.0))
    assert (series.throttled_after_s, series.throttle_sign) == (None, None)
    assert series.slowdown == 0


def flat(n: int, **last: float) -> list[SustainedWindow]:
    counted = {"measured_clock_mhz": 1200.0} if "measured_clock_mhz" in last else {}
    windows = [
        SustainedWindow(i + 1.0, 10, 20.0, clock_mhz=1200.0, throttled_bits=0, **counted) for i in range(n)
    ]
    return [*windows, SustainedWindow(n + 1.0, 10, **{"median_ms": 20.0, **last})]


def test_two_slow_windows_may_be_anything() -> None:
    windows = [*flat(5, median_ms=30.0), SustainedWindow(7.0, 10, 30.0), SustainedWindow(8.0, 10, 20.0)]
    assert judge_windows(windows).throttled_after_s is None


@pytest.mark.parametrize(
    ("last", "sign"),
    [
        ({"throttled_bits": 0x4}, "throttling bits"),
        ({"throttled_bits": 0x80008}, "throttling bits"),
        ({"throttled_bits": 0xF0001}, None),  # under-voltage now, throttled only before
        ({"clock_mhz": 600.0}, "clock"),
        ({"clock_mhz": 1199.0}, None),
        ({"clock_mhz": 1200.0, "measured_clock_mhz": 600.0}, "clock"),  # asked for, but not reached
        ({"clock_mhz": 600.0, "measured_clock_mhz": 1200.0}, None),
    ],
)
def test_bits_and_clock_are_signs_at_once(last: dict[str, float], sign: str | None) -> None:
    series = judge_windows(flat(9, **last))
    assert series.throttle_sign == sign
    assert series.throttled_after_s == (10.0 if sign else None)


@given(st.lists(st.floats(0.1, 1e4), min_size=1, max_size=60))
def test_any_series_has_both_latencies_within_its_range(medians: list[float]) -> None:
    series = judge_windows([SustainedWindow(i + 1.0, 1, value) for i, value in enumerate(medians)])
    for value in (series.burst_ms, series.sustained_ms):
        assert min(medians) * (1 - 1e-9) <= value <= max(medians) * (1 + 1e-9)
    assert (series.throttled_after_s is None) == (series.throttle_sign is None)
