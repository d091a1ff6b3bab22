import gc
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hytnas_agent.worker.timing import time_runs, warm_up, windows_agree

from .replay import Replay


def warm(durations: Iterable[int], **options: float) -> tuple[list[int], bool]:
    replay = Replay(durations)
    limits = {"window": 5, "max_runs": 60, "max_s": 10.0} | options
    return warm_up(replay.run, clock=replay.clock, **limits)


def steady(seed: int, level: float = 1e7, noise: float = 0.005) -> Callable[[int], list[int]]:
    rng = np.random.default_rng(seed)
    return lambda n: [int(value) for value in rng.normal(level, noise * level, n)]


def test_a_steady_series_warms_up_in_two_windows() -> None:
    durations, is_steady = warm([1_000_000] * 60)
    assert (len(durations), is_steady) == (10, True)


@pytest.mark.parametrize("seed", range(10))
def test_half_a_percent_of_noise_is_steady(seed: int) -> None:
    durations, is_steady = warm(steady(seed)(60))
    assert is_steady
    assert len(durations) <= 20


def test_a_slow_start_is_warmed_through() -> None:
    decaying = [int(1e7 * (1 + 2 * 0.8**i)) for i in range(60)]
    durations, is_steady = warm(decaying)
    assert is_steady
    assert 15 <= len(durations) <= 40
    assert durations == decaying[: len(durations)]
    assert windows_agree(durations[-10:-5], durations[-5:])
    assert not windows_agree(durations[:5], durations[5:10])


def test_a_series_that_keeps_growing_is_never_called_steady() -> None:
    durations, is_steady = warm([int(1e6 * 1.05**i) for i in range(60)])
    assert (len(durations), is_steady) == (60, False)


def test_a_throttling_step_is_seen_between_windows() -> None:
    assert not windows_agree([10.0] * 5, [12.0] * 5)
    assert not windows_agree([10.0, 10.0, 10.0, 10.0, 10.0], [9.0, 9.5, 10.0, 10.6, 11.2])


def test_warming_up_stops_when_its_time_is_over() -> None:
    growing = [int(1e9 * 1.2**i) for i in range(60)]
    durations, is_steady = warm(growing, max_s=10.0)
    assert not is_steady
    assert sum(durations[:-1]) < 10e9 <= sum(durations)


def test_no_warm_up_is_not_steady() -> None:
    assert warm([], max_runs=0) == ([], False)


@given(st.lists(st.floats(0.1, 1e3), min_size=5, max_size=5))
def test_a_window_agrees_with_itself(window: list[float]) -> None:
    assert windows_agree(window, window)
    assert not windows_agree([2 * value for value in window], window)


def timed(durations: Iterable[int], **options: float) -> tuple[list[int], Replay]:
    replay = Replay(durations)
    limits = {"min_runs": 10, "max_runs": 100, "budget_s": 0.5} | options
    return time_runs(replay.run, clock=replay.clock, **limits), replay


def test_fast_models_run_until_the_most_runs() -> None:
    samples, replay = timed([1000] * 200)
    assert samples == [1000] * 100
    assert replay.ran == 100


def test_slow_models_run_the_fewest_runs() -> None:
    assert timed([10**9] * 200)[0] == [10**9] * 10


def test_others_run_until_the_budget_is_spent() -> None:
    assert len(timed([10_000_000] * 200)[0]) == 50


@settings(max_examples=20)
@given(st.lists(st.integers(1, 2**40), min_size=20, max_size=20))
def test_samples_are_what_the_clock_said(durations: list[int]) -> None:
    samples, _ = timed(durations, max_runs=20, budget_s=100.0)
    assert samples == durations[: len(samples)]


def test_garbage_is_not_collected_while_timing() -> None:
    seen = []
    clock = Replay([1] * 10).clock
    time_runs(lambda: seen.append(gc.isenabled()), clock=clock, min_runs=2, max_runs=2, budget_s=0)
    assert seen == [False, False]
    assert gc.isenabled()
