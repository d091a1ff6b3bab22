"""The statistics recover noise that was put in, and their intervals hold as often as they say."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from noise.statistics import (
    Figure,
    at_most,
    difference,
    expected_taus,
    noise_of,
    pass_shift,
    ratio,
    repeat_spread,
    tau_between_passes,
    weights_of,
)

from hytnas_predictors.ceiling import noise_ceiling
from hytnas_predictors.metrics import kendall_tau

MODELS, PASSES, RESAMPLES = 60, 20, 400


def simulate(noise: float, rng: np.random.Generator, *, spread: float = 0.5, passes: int = PASSES) -> Any:
    """True logarithms and (n, r) noisy ones."""
    truth = spread * rng.normal(size=MODELS)
    return truth, truth[:, None] + noise * rng.normal(size=(MODELS, passes))


@pytest.mark.parametrize("noise", [0.005, 0.02, 0.1, 0.4])
def test_gaussian_noise_is_recovered(noise: float) -> None:
    rng = np.random.default_rng(1)
    truth, logs = simulate(noise, rng)
    found = noise_of([logs], truth, weights_of(MODELS, RESAMPLES, rng))
    assert found.repeat_spread.value == pytest.approx(noise, rel=0.1)
    assert found.implied.value == pytest.approx(noise, rel=0.2)
    to_truth = np.mean([kendall_tau(truth, row) for row in logs.T])
    assert found.ceiling.value == pytest.approx(to_truth, abs=0.01)


def test_the_closed_form_is_what_noise_does() -> None:
    rng = np.random.default_rng(2)
    truth, logs = simulate(0.2, rng, passes=400)
    to_truth, between = expected_taus(truth, 0.2)
    assert np.mean([kendall_tau(truth, row) for row in logs.T]) == pytest.approx(to_truth, abs=0.005)
    pairs = zip(logs.T[::2], logs.T[1::2], strict=True)
    assert np.mean([kendall_tau(one, other) for one, other in pairs]) == pytest.approx(between, abs=0.01)


def test_a_pair_by_hand() -> None:
    """Two models one standard deviation of their difference apart: right with probability 0.8413."""
    to_truth, between = expected_taus(np.array([0.0, np.sqrt(2)]), 1.0)
    assert to_truth == pytest.approx(2 * 0.841344746 - 1)
    assert between == pytest.approx((2 * 0.841344746 - 1) ** 2)


def test_the_truth_need_only_be_known_from_repeats() -> None:
    rng = np.random.default_rng(3)
    truth, noisy = simulate(0.1, rng)
    weights = weights_of(MODELS, RESAMPLES, rng)
    careful = truth[:, None] + 0.03 * rng.normal(size=(MODELS, PASSES))
    by_truth = noise_of([noisy], truth, weights).implied.value
    assert noise_of([noisy], careful.mean(axis=1), weights).implied.value == pytest.approx(by_truth, rel=0.05)


def test_the_ceiling_agrees_with_that_of_the_predictors() -> None:
    """Theirs redraws the noise of labels that are medians of repeats; here such labels are the passes."""
    rng = np.random.default_rng(4)
    truth = 0.5 * rng.normal(size=MODELS)
    repeats = truth[:, None, None] + 0.2 * rng.normal(size=(MODELS, PASSES, 3))
    found = noise_of([np.median(repeats, axis=2)], truth, weights_of(MODELS, RESAMPLES, rng))
    labels, own = np.exp(np.median(repeats[:, 0], axis=1)), [np.exp(row) for row in repeats[:, 0]]
    theirs, _ = noise_ceiling(labels, own, "latency_ms", rng=rng)
    assert theirs is not None
    assert found.ceiling.value == pytest.approx(theirs.label_to_truth.value, abs=0.03)
    assert found.tau.value == pytest.approx(theirs.label_to_label.value, abs=0.04)


def test_rare_wild_values_weigh_on_the_spread_and_little_on_the_implied_noise() -> None:
    rng = np.random.default_rng(5)
    truth, logs = simulate(0.02, rng)
    wild = np.where(rng.random(logs.shape) < 0.02, 1.0, 0.0)
    found = noise_of([logs + wild], truth, weights_of(MODELS, RESAMPLES, rng))
    assert found.repeat_spread.value > 0.1
    assert found.implied.value < 0.06


def test_what_moves_a_whole_pass_spreads_repeats_and_leaves_tau_alone() -> None:
    rng = np.random.default_rng(6)
    truth, logs = simulate(0.02, rng)
    shifts = 0.1 * rng.normal(size=PASSES)
    found = noise_of([logs + shifts], truth, weights_of(MODELS, RESAMPLES, rng))
    assert pass_shift([logs + shifts]) == pytest.approx(shifts.std(ddof=1), rel=0.1)
    assert found.repeat_spread.value > 0.07
    assert found.implied.value == pytest.approx(0.02, rel=0.2)


def test_passes_that_agree_wholly_have_next_to_no_noise() -> None:
    rng = np.random.default_rng(7)
    truth = rng.normal(size=MODELS)
    found = noise_of([np.repeat(truth[:, None], 3, axis=1)], truth, weights_of(MODELS, RESAMPLES, rng))
    assert found.repeat_spread.interval.high < 1e-12
    assert found.tau.interval.low == pytest.approx(1.0)
    assert found.implied.value < 1e-3
    assert found.ceiling.value == pytest.approx(1.0, abs=1e-3)


def test_passes_of_pure_chance_imply_noise_beyond_any_difference() -> None:
    rng = np.random.default_rng(8)
    truth = 0.5 * rng.normal(size=MODELS)
    found = noise_of([rng.normal(size=(MODELS, PASSES))], truth, weights_of(MODELS, RESAMPLES, rng))
    assert found.tau.value == pytest.approx(0.0, abs=0.05)
    assert found.implied.value > 2
    assert found.ceiling.value < 0.2


def test_tau_is_that_of_every_pair_of_passes_averaged() -> None:
    rng = np.random.default_rng(9)
    _, logs = simulate(0.3, rng, passes=4)
    pairs = [kendall_tau(one, other) for one, other in combinations(logs.T, 2)]
    once = np.ones((1, MODELS), dtype=np.float32)
    found = tau_between_passes([logs], once)
    assert found.value == pytest.approx(np.mean(pairs))
    assert found.resampled == pytest.approx([np.mean(pairs)])


def test_two_models_and_two_passes_are_enough() -> None:
    logs = np.log(np.array([[1.0, 1.1], [2.0, 2.1]]))
    found = noise_of([logs], logs.mean(axis=1), weights_of(2, 50, np.random.default_rng(0)))
    assert np.isfinite([found.implied.value, found.ceiling.value, *found.implied.resampled]).all()


@pytest.mark.parametrize(("mine", "theirs"), [(0.02, 0.06), (0.03, 0.05)])
def test_the_interval_of_a_paired_difference_holds(mine: float, theirs: float) -> None:
    """Both methods measure the same models; the noise of a model differs by a factor between models."""
    rng = np.random.default_rng(10)
    simulations, factor = 300, 0.4
    held = {"difference": 0, "ratio": 0}
    mean_square = np.exp(2 * factor**2)
    true_mine, true_theirs = mine * np.sqrt(mean_square), theirs * np.sqrt(mean_square)
    for _ in range(simulations):
        factors = np.exp(factor * rng.normal(size=(MODELS, 1)))
        weights = weights_of(MODELS, RESAMPLES, rng)
        one = repeat_spread([mine * factors * rng.normal(size=(MODELS, PASSES))], weights)
        other = repeat_spread([theirs * factors * rng.normal(size=(MODELS, PASSES))], weights)
        for name, interval, truth in (
            ("difference", difference(one, other), true_mine - true_theirs),
            ("ratio", ratio(one, other), mine / theirs),
        ):
            held[name] += interval.low <= truth <= interval.high
    for name, count in held.items():
        assert 0.88 <= count / simulations <= 0.985, f"{name}: {count} of {simulations}"


def test_a_limit_is_kept_by_the_interval() -> None:
    resampled = np.linspace(0.2, 0.4, 101)
    one = Figure(1.0, np.ones(101))
    assert at_most(ratio(Figure(0.3, resampled), one), 1 / 3) == "undecided"
    assert at_most(ratio(Figure(0.1, resampled - 0.2), one), 1 / 3) == "yes"
    assert at_most(ratio(Figure(0.5, resampled + 0.2), one), 1 / 3) == "no"


def test_passes_are_compared_within_a_stratum_only() -> None:
    """Another machine has other latencies in another order, and that is no noise."""
    rng = np.random.default_rng(11)
    _, one = simulate(0.1, rng, passes=4)
    _, other = simulate(0.1, rng, passes=3)
    weights = weights_of(MODELS, RESAMPLES, rng)
    taus = [tau_between_passes([logs], weights).value for logs in (one, other)]
    assert tau_between_passes([one, other], weights).value == pytest.approx((6 * taus[0] + 3 * taus[1]) / 9)
    spreads = [repeat_spread([logs], weights).value for logs in (one, other)]
    pooled = repeat_spread([one, other + 2.0], weights)
    assert pooled.value == pytest.approx(np.sqrt((3 * spreads[0] ** 2 + 2 * spreads[1] ** 2) / 5))
    assert pooled.interval.low < 0.1 < pooled.interval.high
    shifts = [pass_shift([logs]) for logs in (one, other)]
    expected = np.sqrt((3 * shifts[0] ** 2 + 2 * shifts[1] ** 2) / 5)
    assert pass_shift([one, other + 2.0]) == pytest.approx(expected)
