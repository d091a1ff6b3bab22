import numpy as np
import pytest
from sklearn.linear_model import BayesianRidge

from hytnas_predictors.estimators import make_estimator


def line(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, 100.0 + x @ [3.0, 1.0, 0.0] + rng.normal(size=n)


def test_it_predicts_what_scikit_learns_regression_predicts() -> None:
    (x, y), new = line(50, 0), line(20, 1)[0]
    ours = make_estimator("ridge").fit(x, y, rng=np.random.default_rng(0))
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    theirs = BayesianRidge(fit_intercept=False).fit(standard, (y - y.mean()) / y.std())
    mean, std = theirs.predict((new - x.mean(axis=0)) / x.std(axis=0), return_std=True)
    for found, expected in zip(
        ours.predict_with_std(new), (mean * y.std() + y.mean(), std * y.std()), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_nominal_90_percent_interval_holds() -> None:
    ours = make_estimator("ridge").fit(*line(60, 0), rng=np.random.default_rng(0))
    x, y = line(1000, 1)
    mean, std = ours.predict_with_std(x)
    assert np.mean(np.abs(y - mean) <= 1.645 * std) == pytest.approx(0.9, abs=0.05)
