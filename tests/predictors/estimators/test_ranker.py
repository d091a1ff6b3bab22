import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hytnas_predictors.estimators import make_estimator
from hytnas_predictors.estimators.ranker import RisingMap

numbers = st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda value: round(value, 3))


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30))
def test_greater_scores_never_have_smaller_labels(pairs: list[tuple[float, float]]) -> None:
    scores, labels = np.array(pairs).T
    rising = RisingMap.fit(scores, labels)
    new = np.linspace(scores.min() - 1, scores.max() + 1, 50)
    assert np.all(np.diff(rising(new)) >= -1e-9 * (1 + np.ptp(labels)))
    assert np.all(np.diff(rising.scores) > 0)
    assert np.all(np.diff(rising.labels) > 0)


def test_it_gives_values_on_the_scale_of_the_labels() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(150, 3))
    y = 20.0 + np.exp(3 * x[:, 0])
    ranker = make_estimator("xgboost-ranker", n_estimators=100, members=2).fit(x, y, rng=rng)
    new = rng.uniform(0.05, 0.95, size=(100, 3))
    truth = 20.0 + np.exp(3 * new[:, 0])
    assert np.abs(ranker.predict(new) / truth - 1).mean() < 0.05


def test_it_learns_the_order_whatever_the_scale() -> None:
    """Labels over many orders of magnitude, where squared errors see the largest alone."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(150, 3))
    ranker = make_estimator("xgboost-ranker", n_estimators=100, members=1)
    predicted = ranker.fit(x, np.exp(20 * x[:, 0]), rng=rng).predict(x)
    assert np.corrcoef(predicted.argsort().argsort(), x[:, 0].argsort().argsort())[0, 1] > 0.95


def test_one_label_is_mapped_to_itself() -> None:
    assert RisingMap.fit(np.arange(4.0), np.full(4, 7.0))(np.array([-9.0, 9.0])) == pytest.approx(7.0)
