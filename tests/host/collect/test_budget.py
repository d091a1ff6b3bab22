"""A budget of time: judged by the pace so far, never less than the least."""

import math

import pytest

from hytnas_host.collect.budget import TimeBudget


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_the_room_is_what_fits_at_the_pace_so_far() -> None:
    clock = Clock()
    budget = TimeBudget(100.0, least=3, clock=clock)
    assert budget.room(taken=0, under_way=0) == math.inf  # nothing is known of the pace
    clock.now_s = 40.0
    budget.end(8)
    assert budget.room(taken=8, under_way=0) == 12
    assert budget.room(taken=11, under_way=3) == 9
    clock.now_s = 101.0
    assert budget.room(taken=8, under_way=0) == 0


def test_the_least_is_taken_however_long_it_takes() -> None:
    clock = Clock()
    budget = TimeBudget(100.0, least=3, clock=clock)
    clock.now_s = 500.0
    assert budget.room(taken=0, under_way=0) == 3
    budget.end(1)
    assert budget.room(taken=2, under_way=1) == 1
    assert budget.room(taken=3, under_way=2) == 0


@pytest.mark.parametrize("ended", [0, 5])
def test_without_a_limit_there_is_always_room(ended: int) -> None:
    budget = TimeBudget()
    budget.end(ended)
    assert budget.room(taken=1000, under_way=7) == math.inf
