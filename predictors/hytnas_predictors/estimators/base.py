"""What every estimator does, and what the bundled ones share: checks, files, and how members become one."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import files, tensors

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


class BundledEstimator(RegressorMixin, BaseEstimator, ABC):  # type: ignore[misc]  # scikit-learn is untyped
    """What the bundled estimators share: checks of arguments, and files with a header that vouches for them.

    A subclass fits a model, predicts from it, and turns it into contents of files and back.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]

    def fit(self, x: ArrayLike, y: ArrayLike, *, rng: np.random.Generator) -> Self:
        """Fit to all rows.

        Parameters
        ----------
        x : (n, d) array_like of finite numbers
        y : (n,) array_like of finite numbers
        rng : numpy.random.Generator
            Gives every random draw.

        Raises
        ------
        PredictorError
            If shapes disagree, a value is not finite, there are fewer than 4 rows, or a parameter is wrong.
        """
        features, targets = check_training_data(x, y)
        self.model_ = self._fit(features, targets, rng)
        self.n_features_in_ = features.shape[1]
        return self

    def predict(self, x: ArrayLike) -> Floats:
        """(n,) float64, the means of `predict_with_std`."""
        return self.predict_with_std(x)[0]

    def predict_with_std(self, x: ArrayLike) -> tuple[Floats, Floats]:
        """(n,) mean and (n,) standard deviation; what the latter holds is said at the class.

        Raises
        ------
        PredictorError
            If the estimator is not fitted, or ``x`` is not (n, d) and finite.
        """
        features = self._checked(x)
        if not len(features):
            return np.empty(0), np.empty(0)
        return self._predict(self.model_, features)

    def save(self, folder: Path) -> None:
        """Write the parameters as JSON, and the model in files that hold no code."""
        self._check_fitted()
        contents = self._dump(self.model_)
        header = files.make_header(self.name, self.get_params(deep=False), self.n_features_in_, contents)
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
        estimator.model_ = estimator._load(folder, contents, header.features)
        return estimator

    def _check_fitted(self) -> None:
        if not hasattr(self, "model_"):
            raise PredictorError(f"the estimator {self.name} is not fitted", "Call fit first.")

    def _checked(self, x: ArrayLike) -> Floats:
        self._check_fitted()
        return check_features(x, self.n_features_in_)

    @abstractmethod
    def _fit(self, x: Floats, y: Floats, rng: np.random.Generator) -> Any:
        """The fitted model."""

    @abstractmethod
    def _predict(self, model: Any, x: Floats) -> tuple[Floats, Floats]:
        """(n,) means and standard deviations, n at least 1."""

    @abstractmethod
    def _dump(self, model: Any) -> list[bytes]:
        """The contents of the files ``member-0``, ``member-1`` and so on, 1 to 100 of them."""

    @abstractmethod
    def _load(self, folder: Path, contents: list[bytes], features: int) -> Any:
        """The model in ``contents``, which are checked before any native code reads them."""


class EnsembleEstimator(BundledEstimator):
    """``members`` equal regressors with different seeds; their mean predicts.

    Their standard deviation says how far the members disagree. It is no prediction interval: it
    leaves out the noise of the labels. It is 0 for a single member.
    """

    members: int

    def _fit(self, x: Floats, y: Floats, rng: np.random.Generator) -> Any:
        check_members(self.members)
        seeds = [int(seed) for seed in rng.integers(2**31 - 1, size=self.members)]
        return [self._fit_member(x, y, seed) for seed in seeds]

    def _predict(self, model: Any, x: Floats) -> tuple[Floats, Floats]:
        return mean_and_deviation(
            np.stack([np.asarray(self._predict_member(m, x), dtype=np.float64) for m in model])
        )

    def _dump(self, model: Any) -> list[bytes]:
        return [self._dump_member(member) for member in model]

    def _load(self, folder: Path, contents: list[bytes], features: int) -> Any:
        return [self._load_member(folder, data, features) for data in contents]

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


class ArrayEstimator(BundledEstimator):
    """One model of plain arrays, kept in one safetensors file."""

    suffix = "safetensors"

    def _predict(self, model: Any, x: Floats) -> tuple[Floats, Floats]:
        mean, std = model.predict(x)
        return mean, std

    def _dump(self, model: Any) -> list[bytes]:
        return [tensors.dump(model.tensors())]

    def _load(self, folder: Path, contents: list[bytes], features: int) -> Any:
        try:
            (data,) = contents
            return self._from_tensors(tensors.parse(data), features)
        except ValueError as error:
            raise files.unusable(folder, f"its arrays are not those of a {self.name}: {error}") from error

    @abstractmethod
    def _from_tensors(self, arrays: tensors.Tensors, features: int) -> Any:
        """What the model's ``tensors()`` gave; raises ValueError for arrays that are no such model."""


def check_members(members: int) -> None:
    """Raise PredictorError unless an ensemble can have so many."""
    if not 1 <= members <= files.MEMBERS_LIMIT:
        raise PredictorError(f"members is {members}", f"Give from 1 to {files.MEMBERS_LIMIT}.")


def mean_and_deviation(each: Floats) -> tuple[Floats, Floats]:
    """(n,) mean and standard deviation over the members' predictions (m, n); the latter 0 for one member."""
    if len(each) == 1:
        return each[0], np.zeros(each.shape[1])
    return each.mean(axis=0), each.std(axis=0, ddof=1)


def check_features(x: ArrayLike, columns: int | None = None) -> Floats:
    """``x`` as a C-contiguous (n, d) float64 array; raises PredictorError unless it is one and finite."""
    features = _as_numbers(x, "features")
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


def _as_numbers(values: ArrayLike, what: str) -> Floats:
    try:
        return np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PredictorError(f"some {what} are not numbers ({error})", "Encode or remove them.") from error


def check_labels(y: ArrayLike) -> Floats:
    """``y`` as an (n,) float64 array; raises PredictorError unless it is one and finite."""
    labels = _as_numbers(y, "labels")
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
