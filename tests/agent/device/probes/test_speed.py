"""What the speed of the core says of timed runs."""

from hytnas_agent.core_speed import CoreSpeed
from hytnas_agent.device.probes import TimedRuns
from hytnas_agent.device.probes.speed import Speed
from hytnas_agent.device.sources import Sources
from hytnas_agent.records import HealthSnapshot

BOARD = HealthSnapshot(0.0, cores=(3,))


def judged(speed: CoreSpeed | None) -> str | None:
    return Speed().judge(TimedRuns(BOARD, BOARD, speed=speed))


def test_unwatched_runs_are_unknown() -> None:
    assert judged(None) is None


def test_runs_at_speed_are_undisturbed() -> None:
    assert judged(CoreSpeed(40.0, (40.0, 41.0, 52.0), (0,) * 9 + (1,))) == ""


def test_a_core_that_was_slow_beside_most_of_them_disturbed_them() -> None:
    assert (
        judged(CoreSpeed(40.0, (40.0, 52.0, 52.0), (0, 1, 1)))
        == "core 3 slower than at best beside 100% of the runs"
    )


def test_a_core_that_was_waited_for_in_vain_is_the_reason_where_nothing_was_begun() -> None:
    found = CoreSpeed(40.0, (52.0, 40.0), (), waited_before_s=10.01, wait_limit_s=10.0, ended_early=True)
    assert judged(found) == "core 3 slower than at best for 10 s"


def test_runs_that_ended_early_are_judged_by_the_same_rule() -> None:
    found = CoreSpeed(40.0, (40.0, 52.0, 52.0), (0, 1, 1), ended_early=True)
    assert judged(found) == "core 3 slower than at best beside 100% of the runs"


def test_nothing_of_it_is_read_from_the_board() -> None:
    assert Speed().read(Sources(), (3,)) == {}
    assert Speed().hold(BOARD, BOARD) == ""
