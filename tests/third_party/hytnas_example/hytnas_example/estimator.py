"""Least squares on all products of two features."""

import json

import numpy as np
from sklearn.base import BaseEstimator

from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators.base import check_features, check_training_data
from hytnas_predictors.estimators.files import unusable

FILE = "quadratic.json"
FITTED = ("low_", "scale_", "coefficients_", "std_")


class QuadraticEstimator(BaseEstimator):
    def __init__(self, ridge=1e-6):
        self.ridge = ridge

    def fit(self, x, y, *, rng):
        x, y = check_training_data(x, y)
        self.low_ = x.min(axis=0)
        self.scale_ = np.where(np.ptp(x, axis=0) > 0, np.ptp(x, axis=0), 1.0)
        columns = self._columns(x)
        squares = columns.T @ columns + self.ridge * np.eye(columns.shape[1])
        self.coefficients_ = np.linalg.solve(squares, columns.T @ y)
        self.std_ = float(np.std(columns @ self.coefficients_ - y))
        return self

    def predict(self, x):
        return self.predict_with_std(x)[0]

    def predict_with_std(self, x):
        if not hasattr(self, "coefficients_"):
            raise PredictorError("the estimator is not fitted", "Call fit first.")
        x = check_features(x, len(self.low_))
        return self._columns(x) @ self.coefficients_, np.full(len(x), self.std_)

    def save(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        fitted = {name: np.asarray(getattr(self, name)).tolist() for name in FITTED}
        (folder / FILE).write_text(json.dumps({"params": self.get_params(), "fitted": fitted}))

    @classmethod
    def load(cls, folder):
        try:
            content = json.loads((folder / FILE).read_text())
            estimator = cls(**content["params"])
            for name in FITTED:
                setattr(estimator, name, np.asarray(content["fitted"][name], dtype=np.float64))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise unusable(folder, f"{FILE} is not what it should be") from error
        return estimator

    def _columns(self, x):
        z = (x - self.low_) / self.scale_
        first, second = np.triu_indices(z.shape[1])
        return np.hstack([np.ones((len(z), 1)), z, z[:, first] * z[:, second]])
