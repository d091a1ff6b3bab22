import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from hytnas_predictors import metrics

values = arrays(float, 12, elements=st.integers(-5, 5).map(float))


def tau_b_by_pairs(y: np.ndarray, predicted: np.ndarray) -> float:
    """Kendall's definition, pair by pair."""
    concordance = untied_y = untied_p = 0.0
    for i in range(len(y)):
        for j in range(i):
            a, b = np.sign(y[i] - y[j]), np.sign(predicted[i] - predicted[j])
            concordance, untied_y, untied_p = concordance + a * b, untied_y + abs(a), untied_p + abs(b)
    return concordance / math.sqrt(untied_y * untied_p) if untied_y * untied_p else 0.0


@given(values, values)
def test_tau_is_that_of_the_definition(y: np.ndarray, predicted: np.ndarray) -> None:
    assert metrics.kendall_tau(y, predicted) == pytest.approx(tau_b_by_pairs(y, predicted), abs=1e-12)


@pytest.mark.parametrize("n", [metrics.MAX_COMPARED, metrics.MAX_COMPARED + 1])
@pytest.mark.parametrize("most", [3, 10**6])
def test_tau_of_few_and_of_many_labels_is_scipys(n: int, most: int) -> None:
    y, noise = np.random.default_rng(n).integers(0, most, size=(2, n)).astype(float)
    y[:2] = np.inf, -np.inf
    expected = stats.kendalltau(y, y + noise).statistic
    assert metrics.kendall_tau(y, y + noise) == expected, "to the last bit"


@given(values)
def test_rank_metrics_do_not_see_a_monotone_change(y: np.ndarray) -> None:
    predicted = np.exp(y / 2)
    expected = 1.0 if np.ptp(y) else 0.0
    assert metrics.kendall_tau(y, predicted) == pytest.approx(expected)
    assert metrics.spearman(y, predicted) == pytest.approx(expected)


def test_errors_of_known_numbers() -> None:
    y, predicted = np.array([10.0, 20.0, 40.0]), np.array([11.0, 20.0, 50.0])
    assert metrics.rmse(y, predicted) == pytest.approx(math.sqrt(101 / 3))
    assert metrics.mape(y, predicted) == pytest.approx((0.1 + 0 + 0.25) / 3)
    assert metrics.within_10_percent(y, predicted) == pytest.approx(2 / 3)


def test_labels_of_zero_have_no_relative_error() -> None:
    assert metrics.mape(np.array([0.0, 2.0]), np.array([1.0, 1.0])) == pytest.approx(0.5)
    assert math.isnan(metrics.mape(np.zeros(2), np.ones(2)))


def test_a_single_row_has_no_order(recwarn) -> None:
    assert metrics.kendall_tau(np.array([1.0]), np.array([2.0])) == 0.0
    assert not recwarn.list
