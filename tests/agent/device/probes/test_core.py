"""What others take of the measuring cores, by both of its clocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hytnas_agent.device.probes import TimedRuns
from hytnas_agent.device.probes.core import OtherProcesses, Steal
from hytnas_agent.records import HealthSnapshot, ProcessorTime


def snapshot(*, busy_s: float = 0.0, steal_s: float = 0.0, at_s: float = 0.0, cores=(3,)) -> HealthSnapshot:
    return HealthSnapshot(0.0, monotonic_s=at_s, cores=cores, core_busy_s=busy_s, core_steal_s=steal_s)


def judged(wall_s: float, cpu_s: float, delay_s: float | None, *, busy_s: float, cores=(3,)) -> str | None:
    after = snapshot(busy_s=busy_s, at_s=wall_s, cores=cores)
    runs = TimedRuns(snapshot(cores=cores), after, ProcessorTime(wall_s, cpu_s, delay_s))
    return OtherProcesses().judge(runs)


@pytest.mark.parametrize(
    ("wall_s", "cpu_s", "delay_s", "busy_s", "expected"),
    [
        (0.5, 0.25, 0.25, 0.50, "other processes took 50% of core 3"),
        (0.5, 0.25, None, 0.50, "other processes took 50% of core 3"),
        (0.5, 0.46, 0.04, 0.50, ""),  # 8 %
        (0.5, 0.49, None, 0.50, ""),
        (0.1, 0.08, 0.02, 0.10, ""),  # 20 % of too little to be seen in ticks
        (0.1, 0.08, None, 0.10, ""),
        (0.001, 0.0005, 0.0005, 0.01, ""),
        (0.5, 0.52, None, 0.50, ""),  # ticks that missed some of our own time
        (30.0, 26.0, 4.0, 30.0, "other processes took 13% of core 3"),
    ],
)
def test_others_are_found_from_a_tenth_on(
    wall_s: float, cpu_s: float, delay_s: float | None, busy_s: float, expected: str
) -> None:
    assert judged(wall_s, cpu_s, delay_s, busy_s=busy_s) == expected


@pytest.mark.parametrize(("preemptions", "disturbed"), [(0, False), (10, False), (11, True)])
def test_a_long_pause_among_many_short_runs_leaves_the_median_alone(
    preemptions: int, disturbed: bool
) -> None:
    processor = ProcessorTime(0.1, 0.05, 0.05, preemptions=preemptions, runs=100)
    found = OtherProcesses().judge(TimedRuns(snapshot(), snapshot(busy_s=0.1, at_s=0.1), processor))
    assert bool(found) is disturbed


def test_several_cores_share_what_was_lost() -> None:
    assert judged(0.5, 0.9, 0.08, busy_s=1.0, cores=(2, 3)) == ""
    assert judged(0.5, 0.8, 0.20, busy_s=1.0, cores=(2, 3)) == "other processes took 20% of cores 2, 3"


@given(wall_s=st.floats(0.3, 30), start=st.floats(0, 1))
def test_ten_milliseconds_more_or_less_accuse_nobody(wall_s: float, start: float) -> None:
    """The kernel rounds to ticks at both ends: undisturbed runs seem up to two ticks busier."""
    ticks = int((start + wall_s) * 100 + 1) - int(start * 100)
    assert judged(wall_s, wall_s, None, busy_s=ticks / 100) == ""


def test_without_any_clock_it_is_unknown() -> None:
    nothing = HealthSnapshot(0.0)
    assert OtherProcesses().judge(TimedRuns(nothing, nothing, ProcessorTime(1.0, 0.5))) is None
    assert OtherProcesses().judge(TimedRuns(snapshot(), snapshot())) is None
    assert Steal().judge(TimedRuns(nothing, nothing, ProcessorTime(1.0, 0.5))) is None


@pytest.mark.parametrize(
    ("steal_s", "wall_s", "expected"),
    [
        (0.02, 0.1, ""),  # two ticks are no finding
        (0.03, 0.5, "the hypervisor took 6% of core 3"),
        (0.03, 1.0, ""),
        (0.5, 1.0, "the hypervisor took 50% of core 3"),
    ],
)
def test_stolen_time_is_found(steal_s: float, wall_s: float, expected: str) -> None:
    runs = TimedRuns(snapshot(), snapshot(steal_s=steal_s), ProcessorTime(wall_s, wall_s))
    assert Steal().judge(runs) == expected


@pytest.mark.parametrize(
    ("busy_s", "passed_s", "held"),
    [(0.10, 0.1, True), (0.02, 0.1, False), (0.03, 0.1, True), (0.2, 2.0, False)],
)
def test_a_measurement_waits_while_the_core_is_busy(busy_s: float, passed_s: float, held: bool) -> None:
    now = snapshot(busy_s=busy_s, at_s=passed_s)
    assert bool(OtherProcesses().hold(snapshot(), now)) is held
