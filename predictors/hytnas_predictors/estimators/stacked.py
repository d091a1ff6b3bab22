"""The estimator ``ensemble``: several others, weighted by what they predict of rows that they did not see.

References
----------
.. [B96] Breiman, "Stacked regressions", Machine Learning 24, 1996 (non-negative weights).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import Estimator, estimator_class, files, make_estimator, tensors
from hytnas_predictors.estimators.base import MINIMUM_ROWS, BundledEstimator, Floats

INNER_FOLDS = 3
SUM_WEIGHT = 1e4


@dataclass(frozen=True)
class Stack:
    """Fitted estimators, their weights (non-negative, of sum 1), and the factor of the standard deviation."""

    estimators: tuple[Estimator, ...]
    weights: Floats
    spread: float


class StackedEstimator(BundledEstimator):
    """The weighted mean of other estimators; the weights are those that do best on inner folds [B96]_.

    The standard deviation is that of the mixture, its members' own deviations and their disagreement, times
    a factor that makes it hold on the rows of the inner folds: it is that of a new label. Below 12 rows
    there are no inner folds: the weights are equal, and the factor is 1.

    Parameters
    ----------
    estimators : tuple of str
        Registered names, each once, with their default parameters. All see the same columns, so ``layerwise``
        can be one of them where the feature set is "work".
    """

    name = "ensemble"
    suffix = "safetensors"

    def __init__(self, *, estimators: tuple[str, ...] = ("gp", "ridge", "lightgbm")) -> None:
        self.estimators = estimators

    def save(self, folder: Path) -> None:
        """Write the weights, and each estimator into a folder of its name."""
        super().save(folder)
        for name, estimator in zip(self.estimators, self.model_.estimators, strict=True):
            estimator.save(folder / name)

    def _fit(self, x: Floats, y: Floats, rng: np.random.Generator) -> Stack:
        self._check_names()
        weights, spread = self._weigh(x, y, rng)
        return Stack(
            tuple(make_estimator(name).fit(x, y, rng=rng) for name in self.estimators), weights, spread
        )

    def _weigh(self, x: Floats, y: Floats, rng: np.random.Generator) -> tuple[Floats, float]:
        """The weights, and the factor of the standard deviation."""
        equal = np.full(len(self.estimators), 1.0 / len(self.estimators))
        if len(y) < INNER_FOLDS * MINIMUM_ROWS:
            return equal, 1.0
        mean, std = np.empty((2, len(self.estimators), len(y)))
        folds = rng.permutation(len(y)) % INNER_FOLDS
        for fold in range(INNER_FOLDS):
            held_out = folds == fold
            for row, name in enumerate(self.estimators):
                fitted = _quick(name).fit(x[~held_out], y[~held_out], rng=rng)
                mean[row, held_out], std[row, held_out] = fitted.predict_with_std(x[held_out])
        weights = weigh(mean - y)
        stacked, deviation = mix(mean, std, weights)
        error = np.sqrt(np.mean((stacked - y) ** 2))
        return weights, float(error / np.sqrt(np.mean(deviation**2))) if deviation.any() else 1.0

    def _predict(self, model: Stack, x: Floats) -> tuple[Floats, Floats]:
        both = np.array([each.predict_with_std(x) for each in model.estimators])
        mean, deviation = mix(both[:, 0], both[:, 1], model.weights)
        return mean, deviation * model.spread

    def _dump(self, model: Stack) -> list[bytes]:
        return [tensors.dump({"weights": model.weights, "spread": np.array([model.spread])})]

    def _load(self, folder: Path, contents: list[bytes], features: int) -> Stack:
        self._check_names()
        try:
            (data,) = contents
            arrays = tensors.parse(data)
            tensors.check_floats(arrays, {"weights": (len(self.estimators),), "spread": (1,)})
            weights, spread = arrays["weights"], float(arrays["spread"][0])
            if np.any(weights < 0) or abs(weights.sum() - 1.0) > 1e-9 or spread < 0:
                raise ValueError("its weights do not sum to 1")
        except ValueError as error:
            raise files.unusable(folder, f"its arrays are not those of an ensemble: {error}") from error
        loaded = tuple(estimator_class(name).load(folder / name) for name in self.estimators)
        for each in loaded:
            each.predict(np.zeros((1, features)))  # raises for one that was fitted to other columns
        return Stack(loaded, weights, spread)

    def _check_names(self) -> None:
        names = self.estimators
        if not names or len(set(names)) < len(names) or self.name in names:
            raise PredictorError(
                f"the ensemble was given {', '.join(names) or 'no estimator'}",
                f"Name each once, and not {self.name} itself.",
            )


def weigh(errors: Floats) -> Floats:
    """(k,) weights, not negative and of sum 1, of least mean square of the weighted (k, n) errors.

    Examples
    --------
    >>> weigh(np.array([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0], [9.0, 9.0, -9.0]])).round(3).tolist()
    [0.5, 0.5, 0.0]
    """
    scale = float(np.abs(errors).max())
    if scale == 0.0:
        return np.full(len(errors), 1.0 / len(errors))
    # Non-negative least squares; the sum is one more equation, of far greater weight than the others.
    system = np.vstack([errors.T / scale, np.full(len(errors), SUM_WEIGHT)])
    found = nnls(system, np.array([*np.zeros(errors.shape[1]), SUM_WEIGHT]))[0]
    return np.asarray(found / found.sum())


def mix(mean: Floats, std: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """(n,) mean and standard deviation of a mixture of k distributions of (k, n) means and deviations."""
    center = weights @ mean
    return center, np.sqrt(weights @ (std**2 + (mean - center) ** 2))


def _quick(name: str) -> Estimator:
    """An estimator for an inner fold: of two members where it has members."""
    return make_estimator(name, **({"members": 2} if "members" in make_estimator(name).get_params() else {}))
