"""What a person is told of a core that is shared, and of the time that is left."""

from pathlib import Path

import msgspec
import pytest

from hytnas_agent.core_speed import CoreSpeed
from hytnas_agent.records import (
    DeviceIdentity,
    MeasureJob,
    MeasurePass,
    MeasureSettings,
    Outcome,
    ProcessResult,
    Verdict,
)
from hytnas_datasets.store import Study
from hytnas_host.collect.pace import MIN_WATCHED, RECENT, Pace, describe_left, describe_shares, usable_s

from .scripted import Bar, ScriptedBoard, run

FAST, SLOW = 40.0, 52.0
VALID, SLOWED = Verdict("VALID"), Verdict("INVALID", ("core 1 slower than at best",))


def process(
    wall_s: float = 1.0, *, fast: float = 1.0, waited_s: float = 0.0, watched: bool = True
) -> ProcessResult:
    """One of ten runs, that share of which was at speed."""
    probes = tuple(FAST if number <= round(10 * fast) else SLOW for number in range(11))
    speed = CoreSpeed(FAST, probes, tuple(range(10)), waited_before_s=waited_s, wait_limit_s=10.0)
    return ProcessResult(
        "job",
        "m",
        MeasurePass.TIMED,
        Outcome.OK,
        MeasureSettings(),
        0.0,
        wall_s,
        "",
        DeviceIdentity("", ""),
        samples_ms=(1.0,) * 10,
        median_ms=1.0,
        verdict=VALID if fast >= 0.75 else SLOWED,
        core_speed=speed if watched else None,
    )


def in_vain(wall_s: float) -> ProcessResult:
    speed = CoreSpeed(FAST, (SLOW,), (), waited_before_s=wall_s, wait_limit_s=wall_s, ended_early=True)
    return msgspec.structs.replace(process(wall_s, fast=0.0), outcome=Outcome.THROTTLED, core_speed=speed)


def test_the_time_that_a_process_waited_was_not_usable() -> None:
    assert usable_s(process(1.0)) == pytest.approx(1.0)
    assert usable_s(process(3.0, waited_s=2.0)) == pytest.approx(1.0)
    assert usable_s(process(3.0, fast=0.5, waited_s=2.0)) == pytest.approx(0.5)
    assert usable_s(in_vain(10.0)) == 0.0
    assert usable_s(process(watched=False)) is None


def test_a_shared_core_is_said_with_the_time_left() -> None:
    pace, now = Pace(), 0.0
    for number in range(40):
        result = process(1.0) if number % 4 == 0 else in_vain(0.816)
        now += result.wall_s
        pace.note(result, now)
    assert pace.usable_share == pytest.approx(0.29, abs=0.005)
    assert describe_shares({"pi": pace}) == "the core is shared: 29 % of the time usable"
    assert describe_shares({"pi": pace, "pi2": Pace()}) == "pi: the core is shared: 29 % of the time usable"
    # 10 valid processes in 34.5 s: 209 more take 720 s.
    assert describe_left([pace, Pace()], 209) == "about 12 min left"
    assert describe_left([pace], 209, limit_s=800.0) == "about 12 min left"
    assert describe_left([pace], 209, limit_s=200.0) == "the time for measuring is over in 3 min"
    assert describe_left([pace], 209, limit_s=0.0) == "the time for measuring is over"
    assert describe_left([pace], 209 * 12) == "about 2.4 h left"
    assert describe_left([pace], 0) == ""
    assert pace.early == 30


def test_nothing_is_said_of_a_core_of_ones_own_or_of_one_that_nobody_watched() -> None:
    own, unwatched = Pace(), Pace()
    for second in range(20):
        own.note(process(1.0), float(second))
        unwatched.note(process(1.0, watched=False), float(second))
    assert not own.shared
    assert unwatched.usable_share is None
    assert describe_shares({"own": own, "unwatched": unwatched}) == ""


def test_few_processes_say_nothing() -> None:
    pace = Pace()
    for _ in range(MIN_WATCHED - 1):
        pace.note(in_vain(2.0), 0.0)
    assert (pace.usable_share, pace.valid_a_second, pace.shared) == (None, None, False)
    assert describe_left([pace], 100) == ""
    assert describe_left([pace], 100, limit_s=240.0) == "the time for measuring is over in 4 min"


def test_the_time_left_is_by_the_recent_rate_and_not_by_canaries() -> None:
    pace, now = Pace(), 0.0
    for _ in range(RECENT):
        now += 100.0
        pace.note(in_vain(100.0), now)
    for _ in range(RECENT):
        now += 1.0
        pace.note(process(1.0), now)
    assert pace.valid_a_second == pytest.approx(1.0)
    assert pace.shared
    assert describe_shares({"pi": pace}) == ""  # what was is over
    for _ in range(RECENT):
        now += 1.0
        pace.note(process(1.0), now, counts=False)
    assert pace.valid_a_second is None


class SharedBoard(ScriptedBoard):
    """A board whose core is fast beside every third process, and watched."""

    def _result(self, job: MeasureJob, outcome: Outcome) -> ProcessResult:
        result = super()._result(job, outcome)
        if job.measure_pass != MeasurePass.TIMED:
            return result
        like = process(0.1) if len(self.measured) % 3 == 0 else in_vain(0.1)
        early = like.outcome is not Outcome.OK and job.may_end_early is True
        return msgspec.structs.replace(
            result,
            verdict=like.verdict,
            core_speed=like.core_speed,
            outcome=like.outcome if early else outcome,
            samples_ms=() if early else result.samples_ms,
            median_ms=None if early else result.median_ms,
        )


def test_a_collection_says_so_while_it_goes_on_and_at_its_end(tmp_path: Path) -> None:
    bars: list[Bar] = []

    def bar(description: str, total: int, done: int = 0) -> Bar:
        bars.append(Bar(description, total, done))
        return bars[-1]

    with Study.open(tmp_path / "study") as study:
        collected = run(study, [SharedBoard("pi")], 4, progress=bar)
    assert next(event for event in bars[0].events if "shared" in event).startswith("pi: the core is shared: ")
    assert sum("shared" in event for event in bars[0].events) == 1
    assert any("% of the time usable; about" in note for note in bars[0].notes)
    summary = collected.summary(4, failures=(), export_s=0.0)
    (share,) = summary.devices
    assert 0.2 < share.usable_share < 0.5
    assert 0 < share.ended_early <= share.disturbed
    told = summary.describe()
    assert f"  pi: the core is shared: {share.usable_share:.0%}".replace("%", " %") in told
    assert f"({share.ended_early} of them ended early)" in told
