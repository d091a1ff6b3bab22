"""What every estimator is: an ensemble of equal members with a common way to fit, predict, save and load."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import files

Floats = NDArray[np.float64]
MINIMUM_ROWS = 4


@runtime_checkable
class Estimator(Protocol):
    """What the toolkit asks of an estimator, bundled or from elsewhere (see ``ENTRY_POINTS``)."""

    def fit(self, x: ArrayLike, y: ArrayLike, *, rng: np.random.Generator) -> Self:
        """Fit to ``x`` (n, d) and ``y`` (n,); every random draw comes from ``rng``."""
        ...

    def predict(self, x: ArrayLike) -> Floats:
        """(n,) predictions."""
        ...

    def predict_with_std(self, x: ArrayLike) -> tuple[Floats, Floats]:
        """(n,) means and their (n,) non-negative standard deviations, both in the unit of the target."""
        ...

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters it was made with (scikit-learn's convention)."""
        ...

    def save(self, folder: Path) -> None:
        """Write the fitted estimator to ``folder`` in files that hold no code."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote; raises PredictorError for anything else."""
        ...


@runtime_checkable
class KnowsItsRange(Protocol):
    """An estimator that can tell by itself where it extrapolates; others are judged by the training range."""

    def predict_with_range(self, x: ArrayLike) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """What ``predict_with_std`` gives, and (n,) whether the training rows do not support it."""
        ...


class EnsembleEstimator(RegressorMixin, BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn is untyped
    """``members`` equal regressors with different seeds; their mean predicts.

    Their standard deviation says how far the members disagree. It is no prediction interval: it
    leaves out the noise of the labels.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    members: int

    def fit(self, x: ArrayLike, y: ArrayLike, *, rng: np.random.Generator) -> Self:
        """Fit every member with its own seed.

        Parameters
        ----------
        x : (n, d) array_like of finite numbers
        y : (n,) array_like of finite numbers
        rng : numpy.random.Generator
            Gives one seed a member.

        Raises
        ------
        PredictorError
            If shapes disagree, a value is not finite, or there are fewer than 4 rows.
        """
        features, targets = check_training_data(x, y)
        if self.members < 1:
            raise PredictorError(f"members is {self.members}", "Give at least 1.")
        seeds = [int(seed) for seed in rng.integers(2**31 - 1, size=self.members)]
        self.n_features_in_ = features.shape[1]
        self.models_ = [self._fit_member(features, targets, seed) for seed in seeds]
        return self

    def predict(self, x: ArrayLike) -> Floats:
        """(n,) float64, the mean of the members' predictions."""
        return self.predict_with_std(x)[0]

    def predict_with_std(self, x: ArrayLike) -> tuple[Floats, Floats]:
        """(n,) mean and (n,) standard deviation over the members (zeros for a single member).

        Raises
        ------
        PredictorError
            If the estimator is not fitted, or ``x`` is not (n, d) and finite.
        """
        if not hasattr(self, "models_"):
            raise PredictorError(f"the estimator {self.name} is not fitted", "Call fit first.")
        features = check_features(x, self.n_features_in_)
        if not len(features):
            return np.empty(0), np.empty(0)
        each = np.stack(
            [np.asarray(self._predict_member(m, features), dtype=np.float64) for m in self.models_]
        )
        if len(each) == 1:
            return each[0], np.zeros(len(features))
        return each.mean(axis=0), each.std(axis=0, ddof=1)

    def save(self, folder: Path) -> None:
        """Write the parameters as JSON and each member in its library's own safe format."""
        if not hasattr(self, "models_"):
            raise PredictorError(f"the estimator {self.name} is not fitted", "Call fit before save.")
        contents = [self._dump_member(model) for model in self.models_]
        header = files.make_header(self.name, self.get_params(), self.n_features_in_, contents)
        files.write(folder, header, self.suffix, contents)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote; predictions are bit-equal.

        Raises
        ------
        PredictorError
            If a file is missing, damaged, too large, of another estimator, or not what it says it is.
        """
        header, contents = files.read(folder, cls.name, cls.suffix)
        estimator = files.make_unfitted(cls, header, folder)
        estimator.n_features_in_ = header.features
        estimator.models_ = [estimator._load_member(folder, data, header.features) for data in contents]
        return estimator

    @abstractmethod
    def _fit_member(self, x: Floats, y: Floats, seed: int) -> Any:
        """One fitted member."""

    @abstractmethod
    def _predict_member(self, model: Any, x: Floats) -> ArrayLike:
        """(n,) predictions of one member."""

    @abstractmethod
    def _dump_member(self, model: Any) -> bytes:
        """The content of the member's file."""

    @abstractmethod
    def _load_member(self, folder: Path, data: bytes, features: int) -> Any:
        """The member in ``data``, which is checked before any native code reads it."""


def check_features(x: ArrayLike, columns: int | None = None) -> Floats:
    """``x`` as a C-contiguous (n, d) float64 array; raises PredictorError unless it is one and finite."""
    features = np.ascontiguousarray(x, dtype=np.float64)
    if features.ndim != 2:
        raise PredictorError(f"features have shape {features.shape}", "Give a table of rows and columns.")
    if columns is not None and features.shape[1] != columns:
        raise PredictorError(
            f"features have {features.shape[1]} columns, the estimator was fitted to {columns}",
            "Use the feature set that the estimator was fitted with.",
        )
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        raise PredictorError(
            f"{len(bad)} of {len(features)} feature rows hold NaN or infinity (first: row {bad[0]})",
            "Remove or complete these rows.",
        )
    return features


def check_labels(y: ArrayLike) -> Floats:
    """``y`` as an (n,) float64 array; raises PredictorError unless it is one and finite."""
    labels = np.ascontiguousarray(y, dtype=np.float64)
    if labels.ndim != 1:
        raise PredictorError(f"labels have shape {labels.shape}", "Give one number a row.")
    bad = np.flatnonzero(~np.isfinite(labels))
    if len(bad):
        raise PredictorError(
            f"{len(bad)} of {len(labels)} labels are NaN or infinite (first: row {bad[0]})",
            "Remove these rows or measure them again.",
        )
    return labels


def check_training_data(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """(n, d) and (n,) float64 of at least 4 rows; raises PredictorError for anything else."""
    features, labels = check_features(x), check_labels(y)
    if len(features) != len(labels):
        raise PredictorError(
            f"{len(features)} feature rows and {len(labels)} labels", "Give one label for each row."
        )
    if len(labels) < MINIMUM_ROWS:
        raise PredictorError(
            f"{len(labels)} rows are too few to fit to", f"Collect at least {MINIMUM_ROWS} labels."
        )
    if features.shape[1] == 0:
        raise PredictorError("the features have no column", "Choose a feature set that is not empty.")
    return features, labels
