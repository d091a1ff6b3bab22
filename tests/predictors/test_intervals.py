import numpy as np
import pytest

from hytnas_predictors.intervals import (
    TauBootstrap,
    bootstrap_tau,
    group_codes,
    percentile_interval,
    resample_weights,
)
from hytnas_predictors.metrics import kendall_tau


def correlated(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    return y, y + 0.5 * rng.normal(size=n)


def test_weights_of_one_give_tau_itself() -> None:
    y, predicted = correlated(30, 0)
    predicted = np.round(predicted, 1)
    taus = bootstrap_tau(y, predicted[None], np.arange(30), np.ones((1, 30), dtype=np.float32))
    assert taus[0] == pytest.approx(kendall_tau(y, predicted), abs=1e-6)


def test_copies_of_one_network_count_nowhere() -> None:
    y, predicted = correlated(25, 1)
    weights = resample_weights(np.arange(25), 20, np.random.default_rng(2))
    taus = bootstrap_tau(y, predicted[None], np.arange(25), weights)
    for row, tau in zip(weights.astype(int), taus, strict=True):
        copies = np.repeat(np.arange(25), row)
        assert tau == pytest.approx(kendall_tau(y[copies], predicted[copies]), abs=1e-6)


def test_pairs_of_a_group_do_not_count() -> None:
    y, predicted = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 1.0, 3.0, 4.0])
    ones = np.ones((1, 4), dtype=np.float32)
    apart = bootstrap_tau(y, predicted[None], np.arange(4), ones)
    together = bootstrap_tau(y, predicted[None], np.array([0, 0, 1, 2]), ones)
    assert apart[0] == pytest.approx(4 / 6)
    assert together[0] == pytest.approx(1.0)


def test_repeats_are_averaged() -> None:
    y, predicted = correlated(20, 3)
    weights = resample_weights(np.arange(20), 5, np.random.default_rng(4))
    both = bootstrap_tau(y, np.stack([predicted, -predicted]), np.arange(20), weights)
    np.testing.assert_allclose(both, 0, atol=1e-12)


def test_a_group_is_drawn_as_a_whole() -> None:
    groups = group_codes(["b", "a", "b", "c"])
    weights = resample_weights(groups, 50, np.random.default_rng(5))
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    assert set(weights[:, [0, 1, 3]].sum(axis=1)) == {3.0}


def test_a_constant_prediction_has_tau_zero() -> None:
    y = np.arange(10.0)
    weights = resample_weights(np.arange(10), 8, np.random.default_rng(6))
    assert bootstrap_tau(y, np.ones((1, 10)), np.arange(10), weights).tolist() == [0.0] * 8


def test_the_interval_holds_its_own_figure_and_widens_with_comparisons() -> None:
    resampled = np.random.default_rng(7).normal(size=2000)
    one, many = (percentile_interval(0.1, resampled, comparisons=k) for k in (1, 5))
    assert many.low < one.low < 0.1 < one.high < many.high
    assert percentile_interval(9.0, resampled).high == 9.0


def test_the_interval_covers_a_known_tau() -> None:
    truth, covered, rows = 2 / np.pi * np.arcsin(0.9), 0, np.arange(50)
    rng = np.random.default_rng(8)
    for _ in range(120):
        y = rng.normal(size=50)
        predicted = 0.9 * y + np.sqrt(1 - 0.81) * rng.normal(size=50)
        taus = bootstrap_tau(y, predicted[None], rows, resample_weights(rows, 300, rng))
        interval = percentile_interval(kendall_tau(y, predicted), taus)
        covered += interval.low <= truth <= interval.high
    assert 0.88 <= covered / 120 <= 1.0


def test_ties_and_repeats_count_as_in_each_resample_written_out() -> None:
    rng = np.random.default_rng(9)
    y, groups = np.round(rng.normal(size=18), 1), rng.integers(12, size=18)
    groups = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    repeats = np.stack([np.round(y + rng.normal(size=18), digits) for digits in (0, 1, 6)])
    weights = resample_weights(groups, 6, rng)
    for predicted in (repeats, repeats[2:]):  # pairs that differ between the repeats, and a single repeat
        expected = np.zeros(6)
        for resample, row in enumerate(weights):
            pairs = row[:, None] * row * (groups[:, None] != groups)
            ours, theirs = np.sign(y[:, None] - y), np.sign(predicted[:, :, None] - predicted[:, None])
            untied = np.sqrt((pairs * ours**2).sum() * (pairs * theirs**2).sum(axis=(1, 2)))
            expected[resample] = ((pairs * ours * theirs).sum(axis=(1, 2)) / untied).mean()
        np.testing.assert_allclose(TauBootstrap(y, groups, weights).taus(predicted), expected, atol=1e-6)
