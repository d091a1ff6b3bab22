"""Further rounds until each interval is narrow: how many processes, in which order, over restarts."""

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from hytnas_agent.records import MeasureJob, Outcome, Verdict
from hytnas_datasets.store import Study

from .scripted import OPTIONS, Bar, ScriptedBoard, run, taking

ADAPTIVE = replace(OPTIONS, processes=5, max_processes=12, window=6, canary_every=0)


class NoisyBoard(ScriptedBoard):
    """Model ``i``'s processes scatter by ``noise[i]``, the same values in the same order whenever asked."""

    def __init__(self, noise: dict[int, float]) -> None:
        super().__init__("noisy")
        self.noise = noise
        self.spread = 0.0
        self.asked: Counter[str] = Counter()

    def _run(self, job: MeasureJob) -> Outcome:
        number = int(job.model_sha256, 16)
        if job.measure_pass == "timed":
            self.asked[job.model_sha256] += 1
        rng = np.random.default_rng([number, self.asked[job.model_sha256]])
        self.median_ms = 100.0 * math.exp(self.noise.get(number, 0.001) * rng.normal())
        return super()._run(job)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))
    with Study.open(tmp_path / "study") as study:
        yield study


def label_of(study: Study, number: int):
    labels = {stored.label.model_sha256: stored.label for stored in study.labels.all("latency")}
    return labels[f"{number:064x}"]


def test_quiet_models_take_the_least_and_noisy_ones_more_up_to_the_budget(study):
    bars: list[Bar] = []

    def progress(*arguments) -> Bar:
        bars.append(Bar(*arguments))
        return bars[-1]

    collected = run(study, [NoisyBoard({1: 0.016, 2: 0.2})], 6, ADAPTIVE, progress=progress)
    assert label_of(study, 0).processes == 5
    middling, wild = label_of(study, 1), label_of(study, 2)
    assert 5 < middling.processes < 12
    assert (middling.outcome, middling.looks) == (Outcome.OK, middling.processes - 4)
    assert middling.half_width <= middling.target_half_width == 0.015
    assert (wild.outcome, wild.processes) == (Outcome.UNSTABLE, 12)
    assert wild.median_ms == pytest.approx(100.0, rel=0.3)
    assert "not stable" in wild.message
    assert (bars[0].done, bars[0].total) == (36, 36)
    assert collected.summary(6, failures=(), export_s=0.0).outcomes == {"OK": 5, "UNSTABLE": 1}


def test_further_processes_are_in_rounds_of_their_own_and_not_back_to_back(study):
    board = NoisyBoard(dict.fromkeys(range(6), 0.2))
    run(study, [board], 6, ADAPTIVE)
    timed = [job.model_sha256 for job in board.measured if job.measure_pass == "timed"]
    assert Counter(timed) == {f"{i:064x}": 12 for i in range(6)}
    assert all(set(timed[i : i + 6]) == set(timed[:6]) for i in range(0, 72, 6))
    assert all(a != b for a, b in pairwise(timed))


def test_few_undecided_models_wait_for_company(study):
    """One noisy model among the first six is gone on with among the next six."""
    board = NoisyBoard({0: 0.2})
    run(study, [board], 12, ADAPTIVE)
    noisy = f"{0:064x}"
    timed = [job.model_sha256 for job in board.measured if job.measure_pass == "timed"]
    neighbours = [(a, b) for a, b in pairwise(timed[:-8]) if a == b == noisy]
    assert neighbours == []
    assert label_of(study, 0).processes == 12


@pytest.mark.parametrize("stop_at", [3, 33, 40])
def test_interrupted_in_any_round_it_comes_to_the_same_processes(study, tmp_path, stop_at):
    noise = {0: 0.2, 1: 0.01, 2: 0.012, 3: 0.02}
    board = NoisyBoard(noise)
    measure = board.measure

    def interrupted(job, on_progress=None):
        if len(board.measured) == stop_at:
            raise KeyboardInterrupt
        return measure(job, on_progress)

    board.measure = interrupted
    with pytest.raises(KeyboardInterrupt):
        run(study, [board], 6, ADAPTIVE)
    board.measure = measure
    run(study, [board], 6, ADAPTIVE)
    with Study.open(tmp_path / "whole") as whole:
        run(whole, [NoisyBoard(noise)], 6, ADAPTIVE)
        expected = {each.label.model_sha256: each.label.processes for each in whole.labels.all("latency")}
    assert {e.label.model_sha256: e.label.processes for e in study.labels.all("latency")} == expected
    measured = len(board.measured)
    run(study, [board], 6, ADAPTIVE)
    assert len(board.measured) == measured


def test_a_larger_budget_later_goes_on_with_what_was_unstable(study):
    board = NoisyBoard({2: 0.03})
    run(study, [board], 4, replace(ADAPTIVE, max_processes=7))
    assert label_of(study, 2).outcome is Outcome.UNSTABLE
    run(study, [board], 4, replace(ADAPTIVE, max_processes=60))
    assert label_of(study, 2).outcome is Outcome.OK
    assert label_of(study, 2).processes > 7
    assert label_of(study, 1).processes == 5


def test_what_the_agent_had_measured_of_a_further_round_is_fetched(study):
    board = NoisyBoard({0: 0.2})
    board.dies_at = 4 * 5 + 2
    board.returns = lambda: True
    run(study, [board], 4, ADAPTIVE)
    results = study.results.by_model("latency")[f"{0:064x}"]
    replicates = Counter(replicate for replicate, result in results if result.measure_pass == "timed")
    assert replicates == dict.fromkeys(range(12), 1)


def test_disturbed_processes_do_not_count_towards_the_least(study):
    """Two of the first five are judged INVALID whatever is tried: others take their place."""
    board = NoisyBoard({})
    judge = board._result
    bad: set[str] = set()

    def result(job, outcome):
        made = judge(job, outcome)
        if job.model_sha256 == f"{1:064x}" and len(bad) < 2 and job.measure_pass == "timed":
            bad.add(job.job_id)
            return taking(made, 900.0, verdict=Verdict("INVALID", ("hot",)))
        return msgspec.structs.replace(made, verdict=Verdict("VALID"))

    board._result = result
    run(study, [board], 4, ADAPTIVE)
    label = label_of(study, 1)
    assert (label.outcome, label.processes) == (Outcome.OK, 5)
    assert label.median_ms == pytest.approx(100.0, rel=0.01)
    stored = [result for _, result in study.results.by_model("latency")[f"{1:064x}"]]
    assert sum(each.verdict.status == "INVALID" for each in stored) == 2
