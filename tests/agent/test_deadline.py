"""A deadline on a clock that the test moves."""

import pytest

from hytnas_agent.deadline import Deadline


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_remains_runs_out_and_stays_at_zero(clock: Clock) -> None:
    deadline = Deadline(5.0, clock=clock)
    assert (deadline.remaining, deadline.expired) == (5.0, False)
    clock.now_s += 3.0
    assert (deadline.remaining, deadline.expired) == (2.0, False)
    clock.now_s += 2.0
    assert (deadline.remaining, deadline.expired) == (0.0, True)
    clock.now_s += 60.0
    assert (deadline.remaining, deadline.expired) == (0.0, True)


def test_no_time_at_all_is_over_at_once(clock: Clock) -> None:
    assert Deadline(0.0, clock=clock).expired
    assert Deadline(-1.0, clock=clock).remaining == 0.0


def test_it_can_be_put_off_and_brought_forward(clock: Clock) -> None:
    deadline = Deadline(5.0, clock=clock)
    deadline.extend(10.0)
    assert deadline.remaining == 15.0
    deadline.extend(-12.0)
    assert deadline.remaining == 3.0
    clock.now_s += 4.0
    assert deadline.expired
    deadline.extend(2.0)
    assert deadline.remaining == 1.0
