import numpy as np
import pytest

from hytnas_datasets.spaces import Architecture, Space, Variable
from hytnas_host.search import SearchError
from hytnas_host.search.acquisition import ConfidenceBound
from hytnas_host.search.surrogates import GRID, XGBoostSet, surrogate_features


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, size=(60, 5)).astype(float)
    return x, np.column_stack([x.sum(axis=1) / 15, 1 - x[:, 0] / 3])


def test_the_grid_is_the_papers():
    assert len(GRID) == len(set(GRID)) == 36
    assert (1000, 12, 0.5) in GRID
    assert (100, 3, 0.01) in GRID


def test_learns_each_objective_with_a_standard_deviation(data):
    x, y = data
    surrogate = XGBoostSet(3).fit(x[:50], y[:50], rng=np.random.default_rng(1))
    mean, std = surrogate.predict(x[50:])
    assert mean.shape == std.shape == (10, 2)
    assert np.corrcoef(mean[:, 0], y[50:, 0])[0, 1] > 0.7
    assert np.corrcoef(mean[:, 1], y[50:, 1])[0, 1] > 0.7
    assert (std > 0).any()
    assert (std >= 0).all()


def test_is_reproducible_and_draws_by_seed(data):
    x, y = data
    means = [XGBoostSet(2).fit(x, y, rng=np.random.default_rng(seed)).predict(x)[0] for seed in (1, 1, 2)]
    assert np.array_equal(means[0], means[1])
    assert not np.array_equal(means[0], means[2])


@pytest.mark.parametrize("members", [0, 1, 37])
def test_impossible_sizes_are_refused(members):
    with pytest.raises(SearchError, match="2 to 36"):
        XGBoostSet(members)


def test_confidence_bound_credits_uncertainty():
    mean, std, best = np.array([[0.5, 0.2]]), np.array([[0.1, 0.3]]), np.zeros(2)
    assert np.allclose(ConfidenceBound(2.0)(mean, std, best), [[0.3, -0.4]])
    assert np.array_equal(ConfidenceBound(0.0)(mean, std, best), mean)


def test_words_are_indicators_and_numbers_are_places():
    space = Space("toy", (Variable("kind", ("a", "b", "c")), Variable("width", (8, 64))), family="none")
    found = surrogate_features(space, [Architecture("toy", (2, 1)), Architecture("toy", (0, 0))])
    assert found.tolist() == [[0, 0, 1, 1], [1, 0, 0, 0]]
