"""Collections on boards whose health says that processes were disturbed."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from hytnas_agent.label import DISTURBED_RETRIES
from hytnas_agent.records import MeasureJob, Outcome, ProcessResult, Verdict
from hytnas_datasets.store import Study
from hytnas_host.collect.options import MeasureOptions

from .scripted import CANARY, OPTIONS, ScriptedBoard, run, taking

HOG = Verdict("INVALID", ("other processes took 50% of core 3",), ("clock",))
QUIET = Verdict("VALID_UNVERIFIED", (), ("clock",))


class HoggedBoard(ScriptedBoard):
    """A board on which runs take twice as long while somebody else works on it, and whose health says so."""

    def __init__(self, disturbed: Callable[[int], bool]) -> None:
        super().__init__("pi")
        self.disturbed = disturbed

    def _result(self, job: MeasureJob, outcome: Outcome) -> ProcessResult:
        result = super()._result(job, outcome)
        if job.measure_pass != "timed":
            return result
        disturbed = self.disturbed(len(self.measured))
        factor = 2.0 if disturbed else 1.0
        return taking(result, factor * result.median_ms, verdict=HOG if disturbed else QUIET)


@pytest.fixture
def study(tmp_path: Path):
    with Study.open(tmp_path / "study") as study:
        yield study


def test_a_hog_for_part_of_the_time_is_measured_around(study: Study) -> None:
    board = HoggedBoard(lambda number: 4 <= number <= 9)
    collected = run(study, [board], 4)
    labels = collected.labels.values()
    assert {label.outcome for label in labels} == {Outcome.OK}
    assert all(100 <= label.median_ms < 101 for label in labels)
    assert not any(label.too_few_undisturbed for label in labels)
    summary = collected.summary(4, failures=(), export_s=0.0)
    assert sum(share.disturbed for share in summary.devices) == 6
    assert summary.disturbed_labels == 0
    described = study.describe()
    assert described.verdicts["INVALID"] == 6
    assert described.repeat_noise < 0.01


def test_a_board_that_is_never_quiet_comes_to_an_end_and_says_what_it_is_worth(study: Study) -> None:
    board = HoggedBoard(lambda number: True)
    collected = run(study, [board], 4)
    timed = [job for job in board.measured if job.measure_pass == "timed" and job.model_sha256 != CANARY]
    assert len(timed) == 4 * (OPTIONS.processes + DISTURBED_RETRIES)
    assert all(label.too_few_undisturbed for label in collected.labels.values())
    assert all("were disturbed" in label.message for label in collected.labels.values())
    summary = collected.summary(4, failures=(), export_s=0.0)
    assert summary.disturbed_labels == 4
    assert "4 labels have too few undisturbed processes" in summary.describe()


def test_going_on_later_tries_no_disturbed_process_a_fourth_time(study: Study) -> None:
    board = HoggedBoard(lambda number: True)
    run(study, [board], 4)
    before = len(board.measured)
    run(study, [board], 4)
    assert all(job.measure_pass == "timed" for job in board.measured[before:])
    assert len(board.measured) - before <= 3  # of the canary


class LateBoard(HoggedBoard):
    """Where somebody else works on it, processes run out of time."""

    def _run(self, job: MeasureJob) -> Outcome:
        outcome = super()._run(job)
        late = job.measure_pass == "timed" and self.disturbed(len(self.measured))
        return Outcome.THROTTLED if late and job.model_sha256 != CANARY else outcome

    def _result(self, job: MeasureJob, outcome: Outcome) -> ProcessResult:
        if outcome is Outcome.OK:
            return msgspec.structs.replace(ScriptedBoard._result(self, job, outcome), verdict=QUIET)
        return msgspec.structs.replace(ScriptedBoard._result(self, job, outcome), verdict=HOG)


def test_running_out_of_time_beside_others_is_tried_again_and_then_forgotten(study: Study) -> None:
    collected = run(study, [LateBoard(lambda number: 4 <= number <= 9)], 4)
    assert {label.outcome for label in collected.labels.values()} == {Outcome.OK}


def test_where_it_never_ends_in_time_the_label_blames_the_board(study: Study) -> None:
    board = LateBoard(lambda number: True)
    collected = run(study, [board], 4)
    timed = [job for job in board.measured if job.measure_pass == "timed" and job.model_sha256 != CANARY]
    assert len(timed) == 4 * (OPTIONS.processes + DISTURBED_RETRIES)
    assert {label.outcome for label in collected.labels.values()} == {Outcome.THROTTLED}


class EarlyBoard(HoggedBoard):
    """Where somebody else works on it, processes that may end early time nothing."""

    def _run(self, job: MeasureJob) -> Outcome:
        outcome = super()._run(job)
        ends = job.may_end_early is True and self.disturbed(len(self.measured))
        return Outcome.THROTTLED if ends else outcome

    def _result(self, job: MeasureJob, outcome: Outcome) -> ProcessResult:
        if outcome is Outcome.OK:
            return super()._result(job, outcome)
        return msgspec.structs.replace(ScriptedBoard._result(self, job, outcome), verdict=HOG)


@pytest.mark.parametrize(("budget_s", "attempts"), [(math.inf, 9), (1e6, 1)])
def test_where_time_is_limited_a_disturbed_canary_does_not_keep_the_models_waiting(
    study: Study, budget_s: float, attempts: int
) -> None:
    board = HoggedBoard(lambda number: True)
    collected = run(study, [board], 4, replace(OPTIONS, budget_s=budget_s))
    first = next(place for place, job in enumerate(board.measured) if job.model_sha256 != CANARY)
    assert first == attempts
    assert len(collected.labels) == 4


@pytest.mark.parametrize("disturbed", [lambda number: True, lambda number: number % 3 > 0])
def test_what_ends_early_takes_no_latency_from_a_label(
    tmp_path: Path, disturbed: Callable[[int], bool]
) -> None:
    """As many attempts as without; the last at each process runs to its end, so that it has a latency."""
    found = []
    for kind in (EarlyBoard, HoggedBoard):
        with Study.open(tmp_path / kind.__name__) as study:
            board = kind(disturbed)
            labels = run(study, [board], 4).labels
        jobs = [job for job in board.measured if job.measure_pass == "timed" and job.model_sha256 != CANARY]
        found.append((len(jobs), labels))
    (early_jobs, early), (whole_jobs, whole) = found
    assert early_jobs == whole_jobs
    assert all(label.outcome is Outcome.OK for label in early.values())
    for sha256, label in early.items():
        assert label.too_few_undisturbed == whole[sha256].too_few_undisturbed
        assert label.processes == whole[sha256].processes
        assert label.median_ms == pytest.approx(whole[sha256].median_ms, rel=0.01)


def test_a_process_may_end_early_only_where_another_attempt_follows(study: Study) -> None:
    board = HoggedBoard(lambda number: True)
    run(study, [board], 1)
    timed = [job for job in board.measured if job.measure_pass == "timed"]
    canaries = [job for job in timed if job.model_sha256 == CANARY]
    assert not any(job.may_end_early for job in canaries)
    flags = [job.may_end_early is True for job in timed if job.model_sha256 != CANARY]
    # Three attempts at each of two processes, then the last of five retries.
    assert flags == [True, True, False, True, True, False, True, False]


ADAPTIVE = MeasureOptions(
    seed=1, processes=5, max_processes=20, window=4, canary_every=20, rejoin_pauses_s=(0.01, 0.02)
)


class WideBoard(HoggedBoard):
    """Its processes scatter too much for any interval to be narrow; its canary does not."""

    def _result(self, job: MeasureJob, outcome: Outcome) -> ProcessResult:
        self.spread = 0.0 if job.model_sha256 == CANARY else 0.3
        return super()._result(job, outcome)


def test_a_board_that_is_never_quiet_costs_each_model_its_one_budget(study: Study) -> None:
    board = WideBoard(lambda number: True)
    collected = run(study, [board], 8, ADAPTIVE)
    timed = [job for job in board.measured if job.measure_pass == "timed" and job.model_sha256 != CANARY]
    assert len(timed) == 8 * (ADAPTIVE.processes + DISTURBED_RETRIES)
    assert all(label.too_few_undisturbed for label in collected.labels.values())
    assert all(label.disturbed_processes == ADAPTIVE.processes for label in collected.labels.values())
    assert all(label.processes == 1 for label in collected.labels.values())
