"""The estimator ``gp``: a Gaussian process with one length for all columns."""

import numpy as np
from numpy.typing import ArrayLike

from hytnas_predictors.estimators.base import ArrayEstimator, Floats
from hytnas_predictors.estimators.gaussian_process import FittedProcess, fit_process
from hytnas_predictors.estimators.tensors import Tensors


class GaussianProcessEstimator(ArrayEstimator):
    """A process whose kernel is fitted by its marginal likelihood.

    The standard deviation is that of a new label, its noise included.

    Parameters
    ----------
    restarts : int
        How often the search for the kernel starts again, from a random point.

    Notes
    -----
    Above 500 rows the kernel is fitted to a random 500. Above 2,000 rows the process knows a random 2,000.
    """

    name = "gp"

    def __init__(self, *, restarts: int = 0) -> None:
        self.restarts = restarts

    def predict(self, x: ArrayLike) -> Floats:
        """(n,) float64, the posterior mean; far cheaper than with its standard deviation."""
        features = self._checked(x)
        mean: Floats = self.model_.predict_mean(features)
        return mean

    def _fit(self, x: Floats, y: Floats, rng: np.random.Generator) -> FittedProcess:
        return fit_process(x, y, rng=rng, restarts=self.restarts)

    def _from_tensors(self, arrays: Tensors, features: int) -> FittedProcess:
        return FittedProcess.from_tensors(arrays, features=features)
