"""The estimator ``ensemble``: several others, weighted by what they predict of rows that they did not see.

References
----------
.. [B96] Breiman, "Stacked regressions", Machine Learning 24, 1996 (non-negative weights).
"""

from dataclasses import dataclass
from operator import ge
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
        Registered names, with their default parameters. ``layerwise`` can be one of them where the columns
        that it sees are the feature set "work".
    columns : tuple of int
        The columns that each estimator sees, as first and end of a range, one pair behind the other; where it
        is empty, all see all. A name can come again with another range: so the inner folds choose between
        feature sets.
    """

    name = "ensemble"
    suffix = "safetensors"

    def __init__(
        self,
        *,
        estimators: tuple[str, ...] = ("gp", "ridge", "lightgbm"),
        columns: tuple[int, ...] = (),
    ) -> None:
        self.estimators = estimators
        self.columns = columns

    def save(self, folder: Path) -> None:
        """Write the weights, and each estimator into a folder of its name."""
        super().save(folder)
        for place, estimator in zip(self._folders(folder), self.model_.estimators, strict=True):
            estimator.save(place)

    def _fit(self, x: Floats, y: Floats, rng: np.random.Generator) -> Stack:
        self._check_members(x.shape[1])
        weights, spread = self._weigh(x, y, rng)
        members = zip(self.estimators, self._views(x), strict=True)
        return Stack(
            tuple(make_estimator(name).fit(view, y, rng=rng) for name, view in members), weights, spread
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
            for row, (name, view) in enumerate(zip(self.estimators, self._views(x), strict=True)):
                fitted = _quick(name).fit(view[~held_out], y[~held_out], rng=rng)
                mean[row, held_out], std[row, held_out] = fitted.predict_with_std(view[held_out])
        weights = weigh(mean - y)
        stacked, deviation = mix(mean, std, weights)
        error = np.sqrt(np.mean((stacked - y) ** 2))
        return weights, float(error / np.sqrt(np.mean(deviation**2))) if deviation.any() else 1.0

    def _predict(self, model: Stack, x: Floats) -> tuple[Floats, Floats]:
        members = zip(model.estimators, self._views(x), strict=True)
        both = np.array([each.predict_with_std(view) for each, view in members])
        mean, deviation = mix(both[:, 0], both[:, 1], model.weights)
        return mean, deviation * model.spread

    def _dump(self, model: Stack) -> list[bytes]:
        return [tensors.dump({"weights": model.weights, "spread": np.array([model.spread])})]

    def _load(self, folder: Path, contents: list[bytes], features: int) -> Stack:
        self._check_members(features)
        try:
            (data,) = contents
            arrays = tensors.parse(data)
            tensors.check_floats(arrays, {"weights": (len(self.estimators),), "spread": (1,)})
            weights, spread = arrays["weights"], float(arrays["spread"][0])
            if np.any(weights < 0) or abs(weights.sum() - 1.0) > 1e-9 or spread < 0:
                raise ValueError("its weights do not sum to 1")
        except ValueError as error:
            raise files.unusable(folder, f"its arrays are not those of an ensemble: {error}") from error
        members = zip(self.estimators, self._folders(folder), strict=True)
        loaded = tuple(estimator_class(name).load(place) for name, place in members)
        for each, view in zip(loaded, self._views(np.zeros((1, features))), strict=True):
            each.predict(view)  # raises for one that was fitted to other columns
        return Stack(loaded, weights, spread)

    def _views(self, x: Floats) -> list[Floats]:
        """What each estimator sees of (n, d) columns."""
        return [x[:, first:end] for first, end in self._ranges(x.shape[1])]

    def _ranges(self, features: int) -> list[tuple[int, int]]:
        ends = self.columns or (0, features) * len(self.estimators)
        return list(zip(ends[::2], ends[1::2], strict=True))

    def _folders(self, folder: Path) -> list[Path]:
        """Where each estimator is kept: in a folder of its name, numbered from the second of a name on."""
        before = [self.estimators[:place].count(name) for place, name in enumerate(self.estimators)]
        named = zip(self.estimators, before, strict=True)
        return [folder / (f"{name}-{count + 1}" if count else name) for name, count in named]

    def _check_members(self, features: int) -> None:
        names, ends = self.estimators, self.columns
        sound = isinstance(ends, tuple) and all(isinstance(e, int) and 0 <= e <= features for e in ends)
        if not sound or len(ends) not in (0, 2 * len(names)) or any(map(ge, ends[::2], ends[1::2])):
            raise PredictorError(
                f"the ensemble was given the columns {ends}, and there are {features}",
                "Give each estimator the first column and the end of a range.",
            )
        members = {(name, *each) for name, each in zip(names, self._ranges(features), strict=True)}
        if not names or len(members) < len(names) or self.name in names:
            raise PredictorError(
                f"the ensemble was given {', '.join(names) or 'no estimator'}",
                f"Name each once, or with other columns, and not {self.name} itself.",
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
