from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hytnas_datasets.errors import NotEnoughDataError
from hytnas_predictors.estimators import make_estimator
from hytnas_predictors.leaderboard.validation import cross_validate, grouped_folds


@given(st.lists(st.integers(0, 12), min_size=10, max_size=60), st.integers(2, 5), st.integers(0, 99))
def test_folds_are_balanced_and_keep_groups_together(drawn: list[int], folds: int, seed: int) -> None:
    groups = np.unique([*range(6), *drawn], return_inverse=True)[1]
    assigned = grouped_folds(groups, folds, 2, seed)
    assert assigned.shape == (2, len(groups))
    for row in assigned:
        fold_of = {group: set(row[groups == group].tolist()) for group in groups.tolist()}
        assert all(len(folds_of_group) == 1 for folds_of_group in fold_of.values())
        sizes = np.bincount([next(iter(each)) for each in fold_of.values()], minlength=folds)
        assert sizes.max() - sizes.min() <= 1


def test_folds_are_fixed_by_the_seed_and_differ_between_repeats() -> None:
    groups = np.arange(40)
    first, again, other = (grouped_folds(groups, 5, 2, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize(("networks", "folds"), [(3, 5), (10, 1), (0, 2)])
def test_impossible_splits_are_refused(networks: int, folds: int) -> None:
    with pytest.raises(NotEnoughDataError, match=f"{networks} different networks"):
        grouped_folds(np.arange(networks), folds, 1, 0)


class Memory:
    """Knows the labels it was shown, by the first feature, and answers -1 for others."""

    def fit(self, x: Any, y: Any, *, rng: np.random.Generator) -> Self:
        self.seen = dict(zip(x[:, 0].tolist(), y.tolist(), strict=True))
        return self

    def predict_with_std(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        return np.array([self.seen.get(key, -1.0) for key in x[:, 0].tolist()]), np.zeros(len(x))


def test_no_row_and_no_row_of_its_group_is_trained_on() -> None:
    groups = np.repeat(np.arange(10), 3)
    x = groups[:, None].astype(float)
    result = cross_validate(Memory, x, np.arange(30.0), grouped_folds(groups, 5, 3, 0))  # type: ignore[arg-type]
    assert result.predicted.tolist() == [[-1.0] * 30] * 3


def test_pure_noise_is_not_predicted() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 8)), rng.normal(size=100)
    result = cross_validate(
        lambda: make_estimator("mlp2", members=1), x, y, grouped_folds(np.arange(100), 5, 1, 0)
    )
    assert abs(np.corrcoef(result.predicted[0], y)[0, 1]) < 0.3


def test_the_log_scale_is_undone_and_fits_are_counted() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 2))
    y, fits = np.exp(x[:, 0]), []
    result = cross_validate(
        lambda: make_estimator("mlp2", members=1, weight_decay=0.0),
        x,
        y,
        grouped_folds(np.arange(60), 4, 2, 0),
        scale="log",
        on_fit=lambda: fits.append(1),
    )
    assert len(fits) == 8
    assert (result.predicted > 0).all()
    assert np.median(np.abs(result.predicted / y - 1)) < 0.1
    assert result.fit_s > 0
    assert result.predict_us_per_row > 0
