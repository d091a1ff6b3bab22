"""Which timed runs count, by how fast the core was beside them."""

import pytest

from hytnas_agent.core_speed import (
    MIN_AT_SPEED,
    TOLERANCE,
    CoreSpeed,
    counting,
    needed_at_speed,
    never_enough,
)

FAST, SLOW = 40.0, 52.0


def speed(probes: str, before: list[int]) -> CoreSpeed:
    return CoreSpeed(FAST, tuple(FAST if each == "f" else SLOW for each in probes), tuple(before))


def test_a_run_counts_that_was_fast_on_both_sides() -> None:
    found = speed("ffsff", [0, 0, 1, 2, 3, 3])
    assert found.at_speed() == [True, True, False, False, True, True]


def test_a_run_without_a_probe_after_it_does_not_count() -> None:
    assert speed("ff", [0, 1]).at_speed() == [True, False]


def test_the_tolerance_is_that_of_the_best_time() -> None:
    within, beyond = FAST * (1 + TOLERANCE), FAST * (1 + TOLERANCE) + 0.01
    assert CoreSpeed(FAST, (FAST, within, beyond), (0, 1)).at_speed() == [True, False]


def test_runs_at_speed_count_alone_where_they_are_enough() -> None:
    found = speed("ffsff", [0] * MIN_AT_SPEED + [1, 2] + [3] * MIN_AT_SPEED)
    assert found.enough()
    assert counting(12, found) == [True] * 5 + [False] * 2 + [True] * 5


@pytest.mark.parametrize(
    ("probes", "before"),
    [
        pytest.param("ffss", [0] * (MIN_AT_SPEED - 1) + [2], id="too-few"),
        pytest.param(
            "ffss", [0] * (3 * MIN_AT_SPEED - 1) + [2] * MIN_AT_SPEED, id="less-than-three-quarters"
        ),
        pytest.param("ss", [0] * 10, id="none"),
    ],
)
def test_else_all_count(probes: str, before: list[int]) -> None:
    found = speed(probes, before)
    assert not found.enough()
    assert counting(len(before), found) == [True] * len(before)


@pytest.mark.parametrize("runs", [1, 3])
def test_fewer_runs_than_a_median_needs_must_all_be_at_speed(runs: int) -> None:
    assert speed("ff", [0] * runs).enough()
    assert not speed("fsff", [0, *[2] * (runs - 1)]).enough()


def test_unwatched_runs_all_count() -> None:
    assert counting(3, None) == [True] * 3


def test_a_record_that_does_not_fit_its_runs_sets_none_aside() -> None:
    assert counting(3, speed("ffs", [0] * 10 + [1])) == [True] * 3


def test_too_many_slow_runs_are_too_many_whatever_else_comes() -> None:
    """Whenever ``never_enough`` says so, no number of runs up to the most leaves enough of the others."""
    for most in range(1, 120):
        for slow in range(1, most + 1):
            possible = any(runs - slow >= needed_at_speed(runs) for runs in range(slow, most + 1))
            assert never_enough(slow, most) is not possible
        assert not never_enough(0, most)


def test_a_wait_is_in_vain_that_lasts_as_long_as_it_may() -> None:
    assert CoreSpeed(FAST, (SLOW,), (), waited_before_s=10.02, wait_limit_s=10.0).waited_in_vain
    assert not CoreSpeed(FAST, (FAST,), (), waited_before_s=9.9, wait_limit_s=10.0).waited_in_vain
    assert not CoreSpeed(FAST, (FAST,), ()).waited_in_vain
