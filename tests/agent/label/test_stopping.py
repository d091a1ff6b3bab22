"""The stopping rule: closed forms, simulated noise of several kinds, and what it must never do."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hytnas_agent.label import DISTURBED_RETRIES, Decision, StoppingRule, next_replicate, retries_of
from hytnas_agent.records import Outcome, ProcessResult, Verdict

from ..conftest import make_result

RULE = StoppingRule()
MEDIANS = st.lists(st.floats(0.5, 2.0), min_size=0, max_size=30)


def run(rule: StoppingRule, medians: np.ndarray) -> tuple[int, Decision]:
    """How many processes the rule takes of a series, and what it says then."""
    for n in range(1, len(medians) + 1):
        decision = rule.decide([float(value) for value in medians[:n]])
        if decision.state != "CONTINUE":
            return n, decision
    raise AssertionError("the series was too short")


def test_the_interval_is_scipys_at_the_confidence_of_one_look() -> None:
    medians = [10.0, 10.2, 9.9, 10.1, 10.05]
    decision = RULE.decide(medians)
    logs = np.log(medians)
    low, high = stats.t.interval(RULE.look_confidence, 4, logs.mean(), stats.sem(logs))
    assert (decision.low_ms, decision.high_ms) == pytest.approx((math.exp(low), math.exp(high)))
    assert decision.half_width == pytest.approx(math.exp((high - low) / 2) - 1)
    assert RULE.look_confidence == pytest.approx(1 - 0.66 * 0.05)


def test_equal_processes_are_stable_at_once_and_far_ones_unstable_at_the_end() -> None:
    assert run(RULE, np.full(20, 7.0)) == (
        5,
        Decision("STABLE", *[pytest.approx(7.0)] * 2, pytest.approx(0.0, abs=1e-12), 1),
    )
    count, decision = run(RULE, np.tile([1.0, 2.0], 10))
    assert (count, decision.state, decision.looks) == (20, "UNSTABLE", 16)


@given(MEDIANS)
def test_the_state_follows_from_the_count_and_the_width(medians: list[float]) -> None:
    decision = RULE.decide(medians)
    n = len(medians)
    if n < 5:
        assert decision.state == "CONTINUE"
    else:
        narrow = decision.half_width <= RULE.target_half_width
        assert decision.state == ("STABLE" if narrow else "CONTINUE" if n < 20 else "UNSTABLE")
    assert (decision.half_width is None) == (n < 2)


@given(st.lists(st.floats(0.5, 2.0), min_size=2, max_size=30), st.floats(0.01, 100), st.randoms())
def test_unit_and_order_do_not_matter(medians: list[float], factor: float, random) -> None:
    first = RULE.decide(medians)
    shuffled = [value * factor for value in medians]
    random.shuffle(shuffled)
    second = RULE.decide(shuffled)
    assert second.half_width == pytest.approx(first.half_width, rel=1e-6, abs=1e-9)


def test_a_fixed_number_is_never_unstable_and_has_the_plain_interval() -> None:
    rule = StoppingRule.fixed(3)
    assert rule.look_confidence == 0.95
    assert rule.decide([1.0, 2.0]).state == "CONTINUE"
    assert rule.decide([1.0, 2.0, 3.0]).state == "STABLE"
    assert rule.decide([1.0, 2.0, 3.0]).looks == 0
    one = StoppingRule.fixed(1).decide([4.0])
    assert (one.state, one.low_ms, one.half_width) == ("STABLE", None, None)


@pytest.mark.parametrize(
    "arguments",
    [
        {"target_half_width": 0.0},
        {"target_half_width": math.nan},
        {"confidence": 1.0},
        {"min_processes": 0},
        {"min_processes": 6, "max_processes": 5},
        {"min_processes": 2, "max_processes": 5},
    ],
)
def test_rules_that_make_no_sense_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"."):
        StoppingRule(**arguments)


def coverage(rule: StoppingRule, draw, truth: float, runs: int = 1500) -> tuple[float, float, float]:
    """Coverage, share of stable ends, and mean number of processes."""
    ended = [run(rule, draw(rule.max_processes)) for _ in range(runs)]
    covered = np.mean([d.low_ms <= truth <= d.high_ms for _, d in ended])
    stable = np.mean([d.state == "STABLE" for _, d in ended])
    return float(covered), float(stable), float(np.mean([n for n, _ in ended]))


@pytest.mark.parametrize("noise", [0.005, 0.01, 0.02, 0.04])
def test_under_the_rule_the_interval_covers_as_often_as_it_says(noise: float) -> None:
    rng = np.random.default_rng(int(1000 * noise))
    covered, _, _ = coverage(RULE, lambda n: 9 * np.exp(noise * rng.normal(size=n)), 9.0)
    assert 0.93 <= covered <= 0.98  # 93-97 % with three standard errors of 1500 runs above


def test_without_the_correction_it_would_not() -> None:
    rng = np.random.default_rng(3)
    plain = math.inf
    looks = np.arange(5, 21)
    for noise in (0.02, 0.03):
        logs = math.log(9) + noise * rng.normal(size=(3000, 20))
        means = np.stack([logs[:, :n].mean(axis=1) for n in looks], axis=1)
        errors = np.stack([logs[:, :n].std(axis=1, ddof=1) for n in looks], axis=1) / np.sqrt(looks)
        halves = stats.t.ppf(0.975, looks - 1) * errors
        ends = (halves <= math.log1p(0.015)) | (looks == 20)
        first = np.arange(len(logs)), ends.argmax(axis=1)
        plain = min(plain, float(np.mean(np.abs(means - math.log(9))[first] <= halves[first])))
    assert plain < 0.935


def test_heavy_tails_take_more_processes_and_keep_the_coverage() -> None:
    rng = np.random.default_rng(4)
    normal = coverage(RULE, lambda n: np.exp(0.01 * rng.normal(size=n)), 1.0)
    heavy = coverage(RULE, lambda n: np.exp(0.01 * rng.standard_t(2, size=n)), 1.0)
    assert heavy[2] > normal[2] + 3
    assert heavy[0] > 0.92


def test_two_states_far_apart_are_mostly_unstable_and_said_so() -> None:
    """A process is fast or slow by 8 %, at random: no 20 processes tell the centre to 1.5 %."""
    rng = np.random.default_rng(5)
    draws = coverage(RULE, lambda n: np.exp(0.08 * rng.integers(0, 2, size=n)), math.exp(0.04))
    assert draws[1] < 0.3  # stable only where the first ones fell on one side
    assert draws[2] > 14


def test_periodic_interference_shorter_than_the_rounds_averages_out() -> None:
    """Every other process 4 % slower, at any phase: the interval covers the mean of both."""
    rng = np.random.default_rng(6)

    def draw(n: int) -> np.ndarray:
        slow = (np.arange(n) + rng.integers(2)) % 2
        return np.exp(0.04 * slow + 0.002 * rng.normal(size=n))

    assert coverage(RULE, draw, math.exp(0.02), runs=300)[0] > 0.93


def test_drift_within_a_series_widens_the_interval() -> None:
    """One percent a process adds up to a spread that the rule does not call stable early."""
    rng = np.random.default_rng(7)
    steady = coverage(RULE, lambda n: np.exp(0.002 * rng.normal(size=n)), 1.0, runs=200)
    drifting = coverage(
        RULE, lambda n: np.exp(0.01 * np.arange(n) + 0.002 * rng.normal(size=n)), 1.0, runs=200
    )
    assert steady[2] == pytest.approx(5.0, abs=0.1)
    assert (drifting[1], drifting[2]) == (0.0, 20.0)


def test_a_tighter_target_costs_more_processes() -> None:
    rng = np.random.default_rng(8)
    costs = [
        coverage(StoppingRule(target, 5, 60), lambda n: np.exp(0.01 * rng.normal(size=n)), 1.0, 200)[2]
        for target in (0.02, 0.01, 0.005)
    ]
    assert costs == sorted(costs)
    assert costs[2] > 2 * costs[0]


def replicates(rule: StoppingRule, result: ProcessResult) -> list[int]:
    """The replicates that a model is measured in, one attempt after the other, each with this result."""
    timed: dict[int, list[ProcessResult]] = {}
    taken: list[int] = []
    while (replicate := next_replicate(timed, retries_of(timed.values()), rule)) is not None:
        timed.setdefault(replicate, []).append(result)
        taken.append(replicate)
    return taken


def test_processes_that_agree_are_as_many_as_the_rule_looks_at_first() -> None:
    assert replicates(RULE, make_result((1.0,) * 3)) == [0, 1, 2, 3, 4]
    assert replicates(StoppingRule.fixed(2), make_result((1.0,) * 3)) == [0, 1]


def test_processes_that_differ_are_measured_until_the_budget_is_spent() -> None:
    timed = {number: [make_result((1.0 + number % 2,) * 3)] for number in range(19)}
    assert next_replicate(timed, 0, RULE) == 19
    timed[19] = [make_result((2.0,) * 3)]
    assert next_replicate(timed, 0, RULE) is None


def test_a_model_that_is_always_disturbed_gets_no_more_than_the_least_number_and_the_retries() -> None:
    taken = replicates(RULE, make_result((1.0,) * 3, verdict=Verdict("INVALID", ("heat",))))
    assert len(taken) == RULE.min_processes + DISTURBED_RETRIES
    assert taken == sorted(taken)
    assert set(taken) == set(range(RULE.min_processes))


def test_nothing_more_is_measured_of_a_model_that_fails() -> None:
    assert replicates(RULE, make_result(outcome=Outcome.INVALID_MODEL)) == [0]
    assert replicates(RULE, make_result(outcome=Outcome.CRASH)) == [0, 0]
