"""Learning curves and edges: what is fitted to what, on data whose answer is known."""

import numpy as np
import pytest

from hytnas_predictors.leaderboard.curves import curve_sizes, learning_curve
from hytnas_predictors.leaderboard.edges import edge_rows
from hytnas_predictors.leaderboard.trial import Trial
from hytnas_predictors.leaderboard.validation import grouped_folds
from hytnas_predictors.progress import SilentProgress
from hytnas_predictors.recipes import Recipe

TREES = Recipe("lightgbm", ("ordinal",), "identity", {"members": 1, "n_estimators": 60})


@pytest.fixture(scope="module")
def trial():
    """100 rows of 50 networks, two each, whose label is a line of one column."""
    groups = np.repeat(np.arange(50), 2)
    x = np.random.default_rng(0).permutation(50)[groups].astype(float)[:, None]
    y = 10.0 + x[:, 0]
    return Trial(y, groups, {("ordinal",): x}, grouped_folds(groups, 5, 1, 0), 0)


def test_a_curve_rises_and_its_bands_hold_its_values(trial):
    curve = learning_curve(trial, TREES, samples=4, bar=SilentProgress())
    assert [point.labels for point in curve.points] == [10, 20, 40]
    taus = [point.kendall_tau.value for point in curve.points]
    assert taus[0] < taus[-1]
    for point in curve.points:
        assert point.kendall_tau.low <= point.kendall_tau.value <= point.kendall_tau.high
        assert 0 < point.mape.low <= point.mape.value <= point.mape.high


def test_a_curve_is_the_same_for_the_same_seed(trial):
    first, second = (learning_curve(trial, TREES, samples=2, bar=SilentProgress()) for _ in range(2))
    assert first == second


def test_rows_of_one_network_are_never_on_both_sides(trial, monkeypatch):
    seen = []

    class Watching:
        def fit(self, x, y, *, rng):
            self.fitted = set(x[:, 0])
            return self

        def predict_with_std(self, x):
            seen.append(self.fitted & set(x[:, 0]))
            return x[:, 0], np.zeros(len(x))

    monkeypatch.setattr(Recipe, "make", lambda self: Watching())
    learning_curve(trial, TREES, samples=3, bar=SilentProgress())
    trial.score_others(TREES, ~edge_rows(trial.y, trial.groups, lowest=True), np.random.default_rng(0))
    assert len(seen) == 10
    assert not any(seen)


@pytest.mark.parametrize(
    ("networks", "sizes"), [(19, ()), (20, (10,)), (50, (10, 20, 40)), (430, (10, 20, 40, 80, 160, 320))]
)
def test_sizes_leave_out_enough_to_test_on(networks, sizes):
    assert curve_sizes(networks) == sizes


def test_an_edge_is_the_tenth_with_the_lowest_or_highest_labels(trial):
    low = edge_rows(trial.y, trial.groups, lowest=True)
    high = edge_rows(trial.y, trial.groups, lowest=False)
    assert low.sum() == high.sum() == 10
    assert trial.y[low].max() < trial.y[~low].min()
    assert trial.y[high].min() > trial.y[~high].max()


def test_trees_cannot_leave_their_training_range(trial):
    edge = edge_rows(trial.y, trial.groups, lowest=False)
    tau, error = trial.score_others(TREES, ~edge, np.random.default_rng(0))
    best = trial.y[~edge].max()
    assert error >= np.mean(1 - best / trial.y[edge]) - 1e-9
    assert tau < 0.5
