"""What label comes out of the processes of a model."""

import numpy as np
import pytest
from scipy import stats

from hytnas_agent.core_speed import CoreSpeed
from hytnas_agent.errors import AgentError
from hytnas_agent.label import StoppingRule, aggregate, made_of
from hytnas_agent.records import Outcome, Verdict

from ..conftest import make_result


def test_one_process_has_no_interval() -> None:
    label = aggregate([make_result((1.0, 2.0, 3.0))])
    assert (label.outcome, label.median_ms, label.ci_low_ms) == (Outcome.OK, 2.0, None)


def test_the_label_is_the_median_of_process_medians() -> None:
    processes = [(1.0, 2.0, 9.0), (2.0, 3.0, 4.0), (10.0, 20.0, 30.0)]
    results = [make_result(samples, cold_ms=5.0, load_ms=1.0, steady=True) for samples in processes]
    memory = make_result(measure_pass="memory", peak_rss_bytes=77, model_bytes=5)
    label = aggregate([*results, memory])
    assert label.process_medians_ms == (2.0, 3.0, 20.0)
    assert label.median_ms == 3.0
    assert label.throughput_per_s == pytest.approx(1000 / 3)
    assert (label.processes, label.samples, label.steady_processes) == (3, 9, 3)
    assert (label.cold_ms, label.load_ms, label.peak_rss_bytes, label.model_bytes) == (5.0, 1.0, 77, 5)
    assert label.p90_ms == pytest.approx(np.quantile(np.concatenate(processes), 0.9))
    assert label.message == ""


def test_runs_beside_which_the_core_was_slow_are_in_no_figure_of_the_label() -> None:
    speed = CoreSpeed(40.0, (40.0, 40.0, 52.0, 40.0, 40.0), (0, 0, 0, 1, 2, 3, 3, 3))
    at_speed = np.add.outer([1.0, 2.0, 3.0], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    results = [make_result((*fast[:3], 9.0, 9.0, *fast[3:]), core_speed=speed) for fast in at_speed.tolist()]
    label = aggregate(results)
    assert label.process_medians_ms == pytest.approx((1.25, 2.25, 3.25))
    assert (label.median_ms, label.samples) == (pytest.approx(2.25), 18)
    assert label.mad_ms == pytest.approx(stats.median_abs_deviation(at_speed, axis=None))
    assert label.mean_ms == pytest.approx(at_speed.mean())
    assert label.p90_ms == pytest.approx(np.quantile(at_speed, 0.9))
    assert label.p99_ms == pytest.approx(np.quantile(at_speed, 0.99))


def test_three_good_processes_make_a_label_and_say_what_failed() -> None:
    good = [make_result((1.0 + i,)) for i in range(3)]
    bad = [make_result(outcome=Outcome.CRASH, message="killed by SIGSEGV") for _ in range(2)]
    label = aggregate([*good, *bad])
    assert (label.outcome, label.median_ms, label.processes) == (Outcome.OK, 2.0, 3)
    assert label.message == "2 CRASH of 5 processes: killed by SIGSEGV"


def test_two_good_processes_of_five_make_none() -> None:
    good = [make_result((1.0,)) for _ in range(2)]
    bad = [make_result(outcome=outcome) for outcome in (Outcome.TIMEOUT, Outcome.OOM, Outcome.OOM)]
    label = aggregate([*bad, *good])
    assert (label.outcome, label.median_ms, label.mad_ms) == (Outcome.OOM, None, None)
    assert label.process_medians_ms == (1.0, 1.0)
    assert "2 OOM, 1 TIMEOUT of 5 processes" in label.message


def test_a_failed_memory_pass_leaves_the_latency_alone() -> None:
    memory = make_result(measure_pass="memory", outcome=Outcome.OOM)
    label = aggregate([make_result((1.0,)), memory])
    assert (label.outcome, label.peak_rss_bytes) == (Outcome.OK, None)


@pytest.mark.parametrize(
    "results",
    [
        [],
        [make_result(measure_pass="memory")],
        [make_result((1.0,)), make_result((1.0,), model_sha256="1" * 64)],
    ],
)
def test_a_label_is_of_timed_processes_of_one_model(results: list) -> None:
    with pytest.raises(AgentError):
        aggregate(results)


def processes_of(medians: list[float], **fields: object) -> list:
    return [make_result((value,) * 3, **fields) for value in medians]


def test_a_label_says_how_wide_its_interval_is_and_how_often_it_was_looked_at() -> None:
    medians = [10.0, 10.1, 9.9, 10.05, 10.0, 9.95]
    label = aggregate(processes_of(medians), StoppingRule())
    decision = StoppingRule().decide(medians)
    assert (label.outcome, label.looks, label.message) == (Outcome.OK, 2, "")
    assert (label.ci_low_ms, label.ci_high_ms) == (decision.low_ms, decision.high_ms)
    assert (label.half_width, label.target_half_width) == (decision.half_width, 0.015)
    assert label.look_confidence == pytest.approx(0.967)
    fixed = aggregate(processes_of(medians))
    assert (fixed.looks, fixed.target_half_width, fixed.look_confidence) == (0, None, 0.95)
    assert fixed.half_width < label.half_width


def test_an_unstable_label_keeps_its_latency_and_says_so() -> None:
    label = aggregate(processes_of([10.0, 11.0] * 10), StoppingRule())
    assert (label.outcome, label.median_ms, label.usable) == (Outcome.UNSTABLE, 10.5, True)
    assert label.message == "not stable: +-2.5 % after 20 processes, the target is +-1.5 %"


@pytest.mark.parametrize("count", [3, 4])
def test_fewer_undisturbed_processes_than_the_rule_looks_at_first_are_unstable_however_narrow(
    count: int,
) -> None:
    """At the end of the budget: the rule is calibrated for five before the first look."""
    good = processes_of([10.0, 10.01, 10.0, 10.01][:count])
    disturbed = processes_of([20.0] * (20 - count), verdict=Verdict("INVALID", ("throttled",)))
    label = aggregate([*good, *disturbed], StoppingRule())
    assert (label.outcome, label.processes, label.too_few_undisturbed) == (Outcome.UNSTABLE, count, False)
    assert label.half_width < label.target_half_width
    assert label.message == f"not stable: {count} processes count, 5 are the least"
    assert aggregate([*good, *disturbed], StoppingRule(min_processes=3)).outcome is Outcome.OK


def test_a_label_that_the_rule_made_of_too_few_processes_says_what_failed_alone() -> None:
    bad = [make_result(outcome=Outcome.CRASH, message="SIGSEGV") for _ in range(3)]
    label = aggregate([*processes_of([1.0, 1.0]), *bad], StoppingRule())
    assert (label.outcome, label.message) == (Outcome.CRASH, "3 CRASH of 5 processes: SIGSEGV")


def test_disturbed_processes_count_only_where_no_other_did() -> None:
    invalid = Verdict("INVALID", ("throttled",))
    good = processes_of([1.0, 1.0, 1.0], verdict=Verdict("VALID_UNVERIFIED"))
    label = aggregate([*good, *processes_of([9.0, 9.0], verdict=invalid)])
    assert (label.median_ms, label.processes, label.disturbed_processes) == (1.0, 3, 2)
    assert not label.too_few_undisturbed
    few = aggregate([good[0], *processes_of([9.0, 7.0, 1.5, 8.0], verdict=invalid)])
    assert (few.process_medians_ms, few.median_ms, few.disturbed_processes) == ((1.0,), 1.0, 4)
    assert (few.outcome, few.too_few_undisturbed) == (Outcome.OK, True)
    assert (few.ci_low_ms, few.half_width) == (None, None)  # one process says nothing about the spread
    assert few.message == "4 of 5 processes were disturbed: throttled"
    none = aggregate(processes_of([9.0, 7.0, 1.5, 8.0], verdict=invalid), StoppingRule())
    assert (none.median_ms, none.outcome, none.too_few_undisturbed) == (1.5, Outcome.UNSTABLE, True)
    assert none.message == (
        "4 of 4 processes were disturbed: throttled; not stable: 1 process counts, 5 are the least"
    )


def test_too_few_undisturbed_processes_are_fewer_than_were_asked_for() -> None:
    invalid = Verdict("INVALID", ("throttled",))
    one = aggregate([*processes_of([1.0]), *processes_of([9.0], verdict=invalid)])
    assert (one.median_ms, one.too_few_undisturbed) == (1.0, True)
    assert not aggregate(processes_of([1.0, 1.1])).too_few_undisturbed
    crashed = [make_result(outcome=Outcome.CRASH) for _ in range(3)]
    lost = aggregate([*processes_of([1.0]), *processes_of([9.0], verdict=invalid), *crashed])
    assert (lost.median_ms, lost.outcome, lost.too_few_undisturbed) == (None, Outcome.CRASH, False)


def test_processes_without_a_steady_state_are_said_so() -> None:
    steady = processes_of([1.0, 1.0, 1.0], steady=True)
    label = aggregate([*steady, *processes_of([1.0, 1.0], steady=False)])
    assert (label.steady_processes, label.outcome) == (3, Outcome.OK)
    assert label.message == "no steady state was reached in 2 of 5 processes"
    invalid = processes_of([9.0], steady=False, verdict=Verdict("INVALID", ("throttled",)))
    assert aggregate([*steady, *invalid]).message == ""  # it is not in the label


def test_a_failure_and_too_wide_an_interval_are_both_said() -> None:
    results = [*processes_of([1.0, 2.0] * 3), make_result(outcome=Outcome.CRASH, message="SIGSEGV")]
    label = aggregate(results, StoppingRule())
    assert label.outcome is Outcome.UNSTABLE
    assert label.message.startswith("1 CRASH of 7 processes: SIGSEGV; not stable: ")


def test_a_label_names_the_jobs_that_make_it_and_no_others() -> None:
    invalid = Verdict("INVALID", ("throttled",))
    results = [
        *[make_result((value,) * 3, job_id=name) for name, value in (("b", 1.0), ("a", 1.0), ("c", 2.0))],
        make_result((1.0,) * 3, job_id="disturbed", verdict=invalid),
        make_result(job_id="crashed", outcome=Outcome.CRASH),
        make_result(job_id="memory", measure_pass="memory"),
    ]
    label = aggregate(results)
    assert label.jobs == ("b", "a", "c")
    by_job = {result.job_id: result for result in results}
    assert made_of(label, by_job) == results[:3]
    del by_job["a"]
    assert made_of(label, by_job) == [results[0], results[2]]
    only = aggregate([make_result((value,) * 3, job_id=str(value), verdict=invalid) for value in (3.0, 2.0)])
    assert only.jobs == ("2.0",)
