"""A budget of time: judged by the pace so far; when it is over, nothing is begun and little is finished."""

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from hytnas_agent.records import MeasureJob, Outcome, ProcessResult, Verdict
from hytnas_datasets.store import Study
from hytnas_host.collect.budget import DeviceBudget, TimeBudget, Unfinished

from .scripted import CANARY, OPTIONS, ScriptedBoard, run


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_the_room_is_what_fits_at_the_pace_so_far() -> None:
    clock = Clock()
    budget = TimeBudget(90.0, least=13, clock=clock)
    assert budget.room(taken=0, under_way=0) == math.inf  # nothing is known of the pace
    clock.now_s = 40.0
    budget.end(8)
    assert budget.room(taken=20, under_way=0) == 10
    assert budget.room(taken=23, under_way=3) == 7
    assert budget.room(taken=9, under_way=8) == 4  # of the least, the last four need the grace
    assert budget.room(taken=9, under_way=16) == 3


@pytest.mark.parametrize(("now_s", "left_s"), [(90.0, 45.0), (135.0, 0.0), (500.0, 0.0)])
def test_when_the_time_is_over_nothing_more_is_begun(now_s: float, left_s: float) -> None:
    clock = Clock()
    budget = TimeBudget(90.0, least=3, clock=clock)
    clock.now_s = now_s
    assert budget.room(taken=0, under_way=0) == 0
    assert budget.left_s == left_s


@pytest.mark.parametrize("ended", [0, 5])
def test_without_a_limit_there_is_always_room(ended: int) -> None:
    budget = TimeBudget()
    budget.end(ended)
    assert budget.room(taken=1000, under_way=7) == math.inf


BEGUN = [Unfinished("a", 4, True), Unfinished("b", 2, True), Unfinished("c", 3, True)]
NEW = [Unfinished(f"new-{number}", 5, False) for number in range(6)]


@pytest.mark.parametrize(
    ("now_s", "needed", "kept"),
    [
        # 15 processes took 30 s, the two before included: 30 more fit into the time, 52 with its grace.
        (30.0, 0, ["a", "b", "c", "new-0", "new-1", "new-2", "new-3"]),
        (30.0, 8, ["a", "b", "c", "new-0", "new-1", "new-2", "new-3", "new-4"]),
        (89.0, 8, ["b", "c"]),
        (90.0, 8, ["b", "c"]),
        (120.0, 8, ["b"]),  # of 15 processes in 120 s, one more fits
        (134.0, 8, ["b"]),
        (135.0, 8, []),
    ],
)
def test_a_device_goes_on_with_what_it_can_finish(now_s: float, needed: int, kept: list[str]) -> None:
    clock = Clock()
    budget = DeviceBudget(TimeBudget(90.0, clock=clock), needed=lambda: needed)
    with budget.window():
        clock.now_s = now_s
        for _ in range(13):
            budget.end_process()
    with budget.window():
        assert sorted(budget.keep([*NEW, *BEGUN], done=0)) == kept
        assert budget.exhausted


class SlowBoard(ScriptedBoard):
    """A board whose processes take as long as is said, by a clock of its own."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__("pi")
        self.clock, self.seconds = clock, seconds
        self.began: dict[str, float] = {}

    def _run(self, job: MeasureJob) -> Outcome:
        self.began.setdefault(job.model_sha256, self.clock.now_s)
        self.clock.now_s += self.seconds
        return super()._run(job)


def test_a_model_whose_only_attempt_was_disturbed_is_gone_on_with_in_the_grace(tmp_path: Path) -> None:
    clock = Clock()
    board = SlowBoard(clock, 12.0)
    judge = board._result

    def result(job: MeasureJob, outcome: Outcome) -> ProcessResult:
        verdict = Verdict("INVALID" if clock.now_s <= 112 else "VALID")
        return msgspec.structs.replace(judge(job, outcome), verdict=verdict)

    board._result = result  # type: ignore[method-assign]
    options = replace(OPTIONS, processes=1, memory_pass=False, canary_every=0, budget_s=100.0, clock=clock)
    with Study.open(tmp_path / "study") as study:
        collected = run(study, [board], 8, replace(options, window=8))
    assert 0 < len(collected.labels) < 8
    assert any(label.disturbed_processes == 0 for label in collected.labels.values())


@pytest.mark.parametrize(
    ("seconds_each", "labelled"),
    [(1.0, range(24, 25)), (3.0, range(11, 16)), (5.0, range(6, 11)), (30.0, range(2))],
)
def test_a_slow_board_measures_fewer_models_and_none_in_fewer_processes(
    tmp_path: Path, seconds_each: float, labelled: range
) -> None:
    clock = Clock()
    board = SlowBoard(clock, seconds_each)
    options = replace(OPTIONS, window=24, budget_s=120.0, least_models=20, clock=clock)
    with Study.open(tmp_path / "study") as study:
        collected = run(study, [board], 24, options)
        summary = collected.summary(24, failures=(), export_s=0.0)
        assert len(collected.labels) in labelled
        assert summary.left_out == 24 - len(collected.labels)
        assert {label.processes for label in collected.labels.values()} <= {options.processes}
        assert max(began for sha256, began in board.began.items() if sha256 != CANARY) < 120
        # The last process, one look at the canary and the memory pass of each model may come after the grace.
        assert clock.now_s < 180 + seconds_each * (4 + len(collected.labels))
        timed = Counter(job.model_sha256 for job in board.measured if job.measure_pass == "timed")
        begun = sum(3 - count for sha256, count in timed.items() if sha256 != CANARY)
        before = len(board.measured)
        run(study, [board], 24, replace(options, budget_s=math.inf, canary_every=0, memory_pass=False))
        assert len(study.labels.all("latency")) == 24
        assert len(board.measured) - before == begun + 3 * (25 - len(timed))
