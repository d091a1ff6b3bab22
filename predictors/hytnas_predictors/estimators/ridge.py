"""The estimator ``ridge``: a straight line in all columns, shrunk as much as the labels say."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.linear_model import BayesianRidge

from hytnas_predictors.estimators.base import ArrayEstimator, Floats
from hytnas_predictors.estimators.standardised import Standardisation, mean_and_scale
from hytnas_predictors.estimators.tensors import Tensors, check_floats
from hytnas_predictors.estimators.threads import one_thread

SYMMETRY = 1e-8


@dataclass(frozen=True)
class FittedLine:
    """``y = y_mean + y_scale * (standardised x) @ slopes``, and how sure that is.

    Attributes
    ----------
    columns : Standardisation of d columns
    y_mean, y_scale : float
        Of the targets.
    slopes : (d,) float64
        Posterior mean, on the standardised scale.
    covariance : (d, d) float64
        Posterior covariance of the slopes.
    noise : float
        Variance of a label, on the standardised scale.
    """

    columns: Standardisation
    y_mean: float
    y_scale: float
    slopes: Floats
    covariance: Floats
    noise: float

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """(n,) mean, and standard deviation of a new label."""
        points = self.columns(x)
        variance = np.einsum("nd,nd->n", points @ self.covariance, points)
        std = np.sqrt(np.maximum(variance, 0.0) + self.noise)
        return points @ self.slopes * self.y_scale + self.y_mean, std * self.y_scale

    def tensors(self) -> Tensors:
        """All of it as named arrays, for `from_tensors`."""
        scalars = {name: np.array([getattr(self, name)]) for name in ("y_mean", "y_scale", "noise")}
        arrays = {"slopes": self.slopes, "covariance": self.covariance}
        return {"x_mean": self.columns.mean, "x_scale": self.columns.scale, **scalars, **arrays}

    @classmethod
    def from_tensors(cls, tensors: Tensors, *, features: int) -> Self:
        """What `tensors` gave; raises ValueError for arrays that are no such line."""
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("y_mean", "y_scale", "noise"), (1,))
        shapes |= dict.fromkeys(("x_mean", "x_scale", "slopes"), (features,))
        check_floats(tensors, shapes | {"covariance": (features, features)})
        if np.any(tensors["x_scale"] <= 0) or tensors["y_scale"][0] <= 0 or tensors["noise"][0] < 0:
            raise ValueError("a scale or a variance is not positive")
        covariance = tensors["covariance"]
        if np.abs(covariance - covariance.T).max() > SYMMETRY * np.abs(covariance).max():
            raise ValueError("its covariance is not symmetric")
        columns = Standardisation(tensors["x_mean"], tensors["x_scale"])
        y_mean, y_scale, noise = (float(tensors[name][0]) for name in ("y_mean", "y_scale", "noise"))
        return cls(columns, y_mean, y_scale, tensors["slopes"], covariance, noise)


class RidgeEstimator(ArrayEstimator):
    """Bayesian ridge regression of scikit-learn, which chooses the shrinkage by the marginal likelihood.

    The standard deviation is that of a new label: of the slopes' posterior, and of the noise.

    Parameters
    ----------
    max_iter : int
        Steps of the search for shrinkage and noise.
    """

    name = "ridge"

    def __init__(self, *, max_iter: int = 300) -> None:
        self.max_iter = max_iter

    def _fit(self, x: Floats, y: Floats, rng: np.random.Generator) -> FittedLine:
        del rng  # nothing is drawn
        columns, (y_mean, y_scale) = Standardisation.of(x), mean_and_scale(y)
        model = BayesianRidge(max_iter=self.max_iter, fit_intercept=False)
        with one_thread():
            model.fit(columns(x), (y - y_mean) / y_scale)
        return FittedLine(columns, y_mean, y_scale, model.coef_, model.sigma_, 1.0 / float(model.alpha_))

    def _from_tensors(self, arrays: Tensors, features: int) -> FittedLine:
        return FittedLine.from_tensors(arrays, features=features)
