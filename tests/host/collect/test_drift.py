"""Drift of the canary: what counts as drift, and what a collection does about a board that slows down."""

import math
from collections.abc import Callable
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy.stats import kendalltau

from hytnas_agent.records import MeasureJob, Outcome, ProcessResult, Verdict
from hytnas_datasets.store import Study
from hytnas_host.collect.drift import CanaryWatch, Reading, drift_limit, shift_of
from hytnas_host.collect.errors import DevicesLostError
from hytnas_host.report.drift import canary_series

from .scripted import CANARY, OPTIONS, Bar, ScriptedBoard, run

STEADY = [10.0, 10.01, 9.99, 10.0, 10.02, 9.98]


class Series:
    """A canary that gives these latencies one after the other, and knows which of them are kept."""

    def __init__(self, *values_ms: float | None, kept_ms: list[float]) -> None:
        self.left = list(values_ms)
        self.kept_ms = list(kept_ms)

    def measure(self) -> Reading | None:
        value = self.left.pop(0)
        return None if value is None else Reading((f"job-{len(self.left)}",), value)

    def watch(self, tolerance: float = 0.03) -> CanaryWatch:
        return CanaryWatch(self.measure, lambda: self.kept_ms, tolerance=tolerance)


def test_the_limit_is_the_tolerance_for_a_quiet_canary_and_its_own_noise_for_another():
    assert drift_limit(STEADY, 0.03) == pytest.approx(math.log1p(0.03))
    noisy = list(np.exp(0.05 * np.random.default_rng(0).normal(size=400)))
    assert drift_limit(noisy, 0.03) == pytest.approx(3 * 0.05 * math.sqrt(0.4487), rel=0.1)


def test_noise_alone_is_seldom_drift_however_large():
    """Three standard errors and a confirmation: rarer than one look in a hundred."""
    rng = np.random.default_rng(1)
    for noise in (0.005, 0.02, 0.04):
        kept = list(np.exp(noise * rng.normal(size=30)))
        drifts = 0
        for _ in range(500):
            series = Series(*np.exp(noise * rng.normal(size=3)), kept_ms=kept)
            drifts += series.watch().look().drifted
        assert drifts <= 5


@pytest.mark.parametrize("kept", [3, 4, 5, 8, 9, 10, 12, 30])
def test_noise_alone_is_seldom_drift_however_few_canaries_there_were(kept):
    """On a steady board with noise beyond the tolerance: 1 % of the looks, and the noise of 4000 of them."""
    rng = np.random.default_rng(kept)
    drifts = 0
    for _ in range(4000):
        reference, coming = np.exp(0.05 * rng.normal(size=kept)), np.exp(0.05 * rng.normal(size=3))
        drifts += Series(*coming, kept_ms=list(reference)).watch().look().drifted
    assert drifts <= 40 + 3 * math.sqrt(40)


@pytest.mark.parametrize("kept", [3, 5, 8, 30])
def test_a_large_shift_is_seen_through_the_noise_however_few_canaries_there_were(kept):
    rng = np.random.default_rng(kept)
    seen = 0
    for _ in range(500):
        reference, coming = np.exp(0.01 * rng.normal(size=kept)), 1.3 * np.exp(0.01 * rng.normal(size=3))
        seen += Series(*coming, kept_ms=list(reference)).watch().look().drifted
    assert seen >= 480


@pytest.mark.parametrize("factor", [1.06, 0.94])
def test_a_shift_that_is_confirmed_is_drift_either_way(factor):
    sighting = Series(*[10.0 * factor] * 3, kept_ms=STEADY).watch().look()
    assert sighting.drifted
    assert sighting.shift == pytest.approx(factor - 1)
    assert len(sighting.readings) == 3
    assert shift_of([10.0 * factor], STEADY) == pytest.approx(math.log(factor))


def test_one_process_that_stands_out_is_not():
    series = Series(12.0, 10.0, 10.0, kept_ms=STEADY)
    assert not series.watch().look().drifted
    assert series.left == []


def test_a_canary_as_before_is_measured_once():
    series = Series(10.1, 99.0, kept_ms=STEADY)
    assert not series.watch().look().drifted
    assert series.left == [99.0]


def test_without_a_reference_it_is_measured_until_there_is_one_and_nothing_is_drift():
    series = Series(10.0, 20.0, 30.0, kept_ms=[])
    sighting = series.watch().look()
    assert (sighting.drifted, len(sighting.readings)) == (False, 3)


@pytest.mark.parametrize("values", [(None,), (12.0, None), (12.0, 12.0, None)])
def test_a_canary_that_fails_shows_nothing(values):
    sighting = Series(*values, kept_ms=STEADY).watch().look()
    assert (sighting.drifted, sighting.known) == (False, False)


def test_a_canary_that_fails_leaves_what_was_measured_to_the_next_look(study):
    """The board is slow from job 16 on, its canary fails at the look after that and shows it at the next."""
    board = SlowingBoard(lambda job: 1.5 if 16 <= job < 36 else 1.0)
    fails = lambda job: job.model_sha256 == CANARY and 18 <= len(board.measured) < 24  # noqa: E731
    board.outcome = lambda job: Outcome.CRASH if fails(job) else Outcome.OK
    run(study, [board], MODELS, PROTECTED)
    assert [result for result in study.results.canaries() if result.outcome is Outcome.CRASH]
    for each in study.labels.all("latency"):
        label, number = each.label, int(each.label.model_sha256, 16)
        expected = pytest.approx(100 * 1.02**number, rel=0.02)
        assert all(median_ms == expected for median_ms in label.process_medians_ms)


def test_a_canary_that_fails_after_a_drift_is_not_back(study):
    board = SlowingBoard(lambda job: 1.5 if job >= 16 else 1.0)
    fails = lambda job: job.model_sha256 == CANARY and len(board.measured) >= 24  # noqa: E731
    board.outcome = lambda job: Outcome.CRASH if fails(job) else Outcome.OK
    bars: list[Bar] = []

    def progress(*arguments) -> Bar:
        bars.append(Bar(*arguments))
        return bars[-1]

    run(study, [board], MODELS, PROTECTED, progress=progress)
    events = [event for bar in bars for event in bar.events]
    assert not [event for event in events if "the canary is back" in event]
    assert [event for event in events if "not known whether it is back" in event]


class SlowingBoard(ScriptedBoard):
    """Model ``i`` takes ``100 * 1.02**i`` ms, times what ``slow`` says of the number of jobs before."""

    def __init__(self, slow: Callable[[int], float]) -> None:
        super().__init__("slow")
        self.slow = slow
        self.spread = 0.0
        self.rng = np.random.default_rng(7)

    def _run(self, job: MeasureJob) -> Outcome:
        number = min(int(job.model_sha256, 16), 40)
        noise = math.exp(0.003 * self.rng.normal())
        self.median_ms = 100.0 * 1.02**number * self.slow(len(self.measured)) * noise
        return super()._run(job)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))
    with Study.open(tmp_path / "study") as study:
        yield study


PROTECTED = replace(OPTIONS, window=16, canary_every=8, drift_pauses_s=(0.0,) * 8)
MODELS = 16


def tau(study: Study) -> float:
    medians = {stored.label.model_sha256: stored.label.median_ms for stored in study.labels.all("latency")}
    return float(kendalltau(sorted(range(MODELS)), [medians[f"{i:064x}"] for i in range(MODELS)]).statistic)


def hog(job: int) -> float:
    """Slower by 30 % during about half of the jobs, in stretches."""
    return 1.3 if job % 40 >= 20 else 1.0


def test_a_slow_stretch_is_detected_and_measured_again_and_the_ranks_are_saved(study, tmp_path):
    with Study.open(tmp_path / "bare") as bare:
        run(bare, [SlowingBoard(hog)], MODELS, replace(PROTECTED, canary_every=0))
        unprotected = tau(bare)
    collected = run(study, [SlowingBoard(hog)], MODELS, PROTECTED)
    (share,) = collected.summary(MODELS, failures=(), export_s=0.0).devices
    assert share.drifts > 0
    assert len(study.results.discarded()) >= share.discarded > 0
    assert unprotected < 0.9
    assert tau(study) > unprotected + 0.05


def test_nothing_is_discarded_on_a_steady_board(study):
    collected = run(study, [SlowingBoard(lambda job: 1.0)], MODELS, PROTECTED)
    assert (study.results.discarded(), tau(study)) == ({}, 1.0)
    assert "drifted" not in collected.summary(MODELS, failures=(), export_s=0.0).describe()


def test_what_was_measured_while_slow_is_kept_but_in_no_label(study):
    board = SlowingBoard(lambda job: 1.5 if 20 <= job < 32 else 1.0)
    run(study, [board], MODELS, PROTECTED)
    discarded = study.results.discarded()
    stored = {result.job_id: result for rs in study.results.by_model("latency").values() for _, result in rs}
    gone = [stored[job_id] for job_id in discarded if job_id in stored]
    assert gone
    for each in study.labels.all("latency"):
        label, number = each.label, int(each.label.model_sha256, 16)
        assert label.median_ms == pytest.approx(100 * 1.02**number, rel=0.02)
        assert not {result.median_ms for result in gone} & set(label.process_medians_ms)
    assert all(reason.startswith("the canary has drifted by +") for reason in discarded.values())


def test_a_board_that_stays_slow_goes_on_and_says_so(study):
    run(study, [SlowingBoard(lambda job: 1.2 if job > 30 else 1.0)], MODELS, PROTECTED)
    assert len(study.labels.all("latency")) == MODELS
    (failure,) = study.failures.all("drift")
    assert "changed speed for good: the canary has drifted by +" in failure.message


def test_the_report_tells_the_former_speed_and_the_spells(study):
    board = SlowingBoard(lambda job: 1.0 if job <= 30 else 1.2 if job <= 90 else 1.5)
    run(study, [board], MODELS, PROTECTED)
    timed = [r for rs in study.results.by_model("latency").values() for _, r in rs]
    (series,) = canary_series(
        study.results.canaries(),
        {},
        [r for r in timed if r.measure_pass == "timed"],
        study.results.discards(),
    )
    levels = {
        level: [p.median_ms for p in series.points if p.level == level and p.state != "drifted"]
        for level in (0, 1, 2)
    }
    at_first = float(np.median(levels[0]))
    assert [float(np.median(levels[level])) / at_first for level in (1, 2)] == [
        pytest.approx(1.2, rel=0.02),
        pytest.approx(1.5, rel=0.02),
    ]
    assert {p.state for p in series.points if p.level < 2} == {"former"}
    assert {p.state for p in series.points if p.level == 2} == {"kept", "drifted"}
    (quality,) = study.describe().qualities
    assert quality.discarded == sum(spell.processes for spell in series.spells) > 0
    assert quality.speed_changes == 2
    assert quality.labels == MODELS


def test_a_new_level_is_what_the_canary_is_held_to_from_then_on(study):
    """A second change of speed is seen against the new level, with the canaries that showed that at once."""
    board = SlowingBoard(lambda job: 1.0 if job <= 30 else 1.2 if job <= 90 else 1.5)
    run(study, [board], MODELS, PROTECTED)
    first, second = study.failures.all("drift")
    assert "drifted by +19" in first.message or "drifted by +20" in first.message
    assert "drifted by +24" in second.message or "drifted by +25" in second.message
    kept = [result for result in study.results.canaries() if result.job_id not in study.results.discarded()]
    assert len(kept) >= 3
    assert max(result.median_ms for result in kept) < 1.05 * min(result.median_ms for result in kept)


def test_a_collection_goes_on_at_the_new_level_after_it_was_ended(study):
    often = replace(PROTECTED, canary_every=2)  # so that most canaries are of the old level
    board = SlowingBoard(lambda job: 1.2 if job > 55 else 1.0)
    run(study, [board], MODELS, often)
    assert len(study.failures.all("drift")) == 1
    discarded = study.results.discarded()
    run(study, [board], 2 * MODELS, often)
    assert len(study.failures.all("drift")) == 1
    assert study.results.discarded() == discarded


@pytest.mark.parametrize("dies_at", [19, 21])
def test_what_was_measured_while_slow_is_checked_after_the_collection_was_ended(study, dies_at):
    """It ends before the look that would have seen it, or within that, before the canary is confirmed."""
    board = SlowingBoard(lambda job: 1.5 if 14 <= job < 27 else 1.0)
    board.dies_at = dies_at
    with pytest.raises(DevicesLostError):
        run(study, [board], MODELS, PROTECTED)
    board.dead, board.dies_at = False, None
    run(study, [board], MODELS, PROTECTED)
    for each in study.labels.all("latency"):
        label, number = each.label, int(each.label.model_sha256, 16)
        expected = pytest.approx(100 * 1.02**number, rel=0.02)
        assert all(median_ms == expected for median_ms in label.process_medians_ms)


def test_or_is_given_up_if_that_is_wanted(study):
    board = SlowingBoard(lambda job: 1.2 if job > 30 else 1.0)
    with pytest.raises(DevicesLostError, match=r"changed speed for good") as error:
        run(study, [board], MODELS, replace(PROTECTED, stop_on_drift=True))
    assert "device doctor" in error.value.next_step
    board.slow = lambda job: 1.0
    run(study, [board], MODELS, replace(PROTECTED, stop_on_drift=True))
    assert tau(study) == 1.0


def test_attempts_that_are_discarded_come_to_an_end(study):
    """Every look finds the board at another speed: each process is measured three times at most."""
    board = SlowingBoard(lambda job: 1.1 ** (job // 12))
    run(study, [board], MODELS, replace(PROTECTED, drift_pauses_s=()))
    per_slot: dict[tuple[str, int], int] = {}
    for sha256, results in study.results.by_model("latency").items():
        for replicate, result in results:
            if result.measure_pass == "timed":
                per_slot[sha256, replicate] = per_slot.get((sha256, replicate), 0) + 1
    assert max(per_slot.values()) <= 3
    assert len(study.labels.all("latency")) == MODELS


def test_canaries_of_a_drift_are_no_reference(study):
    run(study, [SlowingBoard(lambda job: 1.5 if 20 <= job < 32 else 1.0)], MODELS, PROTECTED)
    kept = [result for result in study.results.canaries() if result.job_id not in study.results.discarded()]
    assert max(result.median_ms for result in kept) < 1.05 * min(result.median_ms for result in kept)
    assert all(result.model_sha256 == CANARY for result in kept)


class DisturbedBoard(ScriptedBoard):
    """Each process is disturbed, and slower for it by a share of up to 40 % that is drawn anew."""

    def __init__(self) -> None:
        super().__init__("disturbed")
        self.spread = 0.0
        self.rng = np.random.default_rng(3)

    def _result(self, job: MeasureJob, outcome: Outcome) -> ProcessResult:
        self.median_ms = 100.0 * (1 + 0.4 * self.rng.random())
        return msgspec.structs.replace(super()._result(job, outcome), verdict=Verdict("INVALID", ("busy",)))


def test_a_canary_that_is_always_disturbed_is_compared_with_its_like(study, monkeypatch):
    """The fastest of three attempts with the fastest of three: what it came to, and not one attempt of it."""
    seen: list[float] = []
    look = CanaryWatch.look

    def listening(watch: CanaryWatch):
        sighting = look(watch)
        seen.extend(reading.median_ms for reading in sighting.readings)
        return sighting

    monkeypatch.setattr(CanaryWatch, "look", listening)
    run(study, [DisturbedBoard()], 24, PROTECTED)
    attempts = [result.median_ms for result in study.results.canaries()]
    processes = [min(attempts[i : i + 3]) for i in range(0, len(attempts), 3)]
    assert len(seen) > 10
    assert seen == processes
