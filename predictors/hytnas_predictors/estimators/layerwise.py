"""A latency as the sum of what its operators cost, and a Gaussian process on what the sum leaves over.

``log y = log(work . costs) + g(log work)``: the sum carries a prediction to where nothing was measured, the
process corrects it where labels are near.
"""

from pathlib import Path
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import files, tensors
from hytnas_predictors.estimators.base import check_features, check_training_data
from hytnas_predictors.estimators.gaussian_process import FittedProcess, fit_process
from hytnas_predictors.estimators.layer_costs import LayerCosts, fit_layer_costs, left_out_residuals

Floats = NDArray[np.float64]
FAR: Final = 2.0
ROWS_AT_ONCE: Final = 20_000
PROCESS: Final = "process."
COSTS: Final = ("costs", "resampled")


class LayerwiseEstimator(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """The layer-wise sum with a Gaussian process on its ratio to the labels.

    ``x`` holds work columns (`hytnas_datasets.work`), which add up over a network and are not negative; ``y``
    is the logarithm of the label. The standard deviation is that of a new label: of the process, noise
    included, and of the sum where it is asked for work unlike that of the training rows.

    Parameters
    ----------
    ridge : float
        Weight of the ridge on the costs' shares.
    resamples : int
        Bootstrap samples of the rows, for the intervals of the costs.
    folds : int
        Folds of the residuals that the process is fitted to.
    """

    name: ClassVar[str] = "layerwise"
    suffix: ClassVar[str] = "safetensors"

    def __init__(self, *, ridge: float = 0.03, resamples: int = 30, folds: int = 10) -> None:
        self.ridge = ridge
        self.resamples = resamples
        self.folds = folds

    def fit(self, x: ArrayLike, y: ArrayLike, *, rng: np.random.Generator) -> Self:
        """Fit the sum, then the process.

        Parameters
        ----------
        x : (n, c) array_like of work, not negative
        y : (n,) array_like of logarithms of labels
        rng : numpy.random.Generator
            Draws bootstrap samples and folds.

        Raises
        ------
        PredictorError
            If shapes disagree, a value is not finite, work is negative, or there are fewer than 4 rows.
        """
        work, logs = check_training_data(x, y)
        check_work(work)
        self.n_features_in_ = work.shape[1]
        self.offset_ = float(logs.mean())
        labels = np.exp(logs - self.offset_)
        if np.ptp(logs) == 0:  # nothing to tell costs apart by
            none = np.zeros(work.shape[1])
            self.costs_, left = LayerCosts(none, none[None, :], 1.0), np.zeros(len(work))
        else:
            self.costs_ = fit_layer_costs(work, labels, ridge=self.ridge, resamples=self.resamples, rng=rng)
            left = left_out_residuals(work, labels, ridge=self.ridge, folds=self.folds, rng=rng)
        self.process_ = fit_process(np.log1p(work), left, rng=rng)
        self.usual_variance_ = float(self.costs_.log_variance(work).mean())
        self.usual_std_ = float(self.predict_with_std(work)[1].mean())
        self.seen_ = work.any(axis=0)
        return self

    def predict(self, x: ArrayLike) -> Floats:
        """(n,) logarithms of the predicted labels."""
        return self.predict_with_std(x)[0]

    def predict_with_std(self, x: ArrayLike) -> tuple[Floats, Floats]:
        """(n,) logarithms of the predicted labels and (n,) standard deviations of the logarithm of a new one.

        Raises
        ------
        PredictorError
            If the estimator is not fitted, or ``x`` is not (n, c), finite and non-negative.
        """
        if not hasattr(self, "process_"):
            raise PredictorError(f"the estimator {self.name} is not fitted", "Call fit first.")
        work = check_features(x, self.n_features_in_)
        check_work(work)
        mean, std = np.empty(len(work)), np.empty(len(work))
        for start in range(0, len(work), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            left, spread = self.process_.predict(np.log1p(work[rows]))
            unlike = np.maximum(self.costs_.log_variance(work[rows]) - self.usual_variance_, 0.0)
            mean[rows] = self.offset_ + self.costs_.log_sum(work[rows]) + left
            std[rows] = np.sqrt(spread**2 + unlike)
        return mean, std

    def predict_with_range(self, x: ArrayLike) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """What ``predict_with_std`` gives, and (n,) whether a row is unlike the training rows.

        It is if it holds work that no training row had, or if its standard deviation is more than twice the
        mean of the training rows'. A column out of its training range alone does not count: a sum carries
        over to smaller and larger networks of the same operators.

        Raises
        ------
        PredictorError
            As `predict_with_std`.
        """
        work = check_features(x, getattr(self, "n_features_in_", None))
        mean, std = self.predict_with_std(work)
        unseen = (work[:, ~self.seen_] > 0).any(axis=1)
        return mean, std, np.asarray(unseen | (std > FAR * self.usual_std_))

    def unit_costs(self) -> tuple[Floats, Floats]:
        """(c,) cost of one unit of each column in the unit of the labels, and its (2, c) 95 % interval.

        The interval is that of the bootstrap over the rows. Columns that go together in all networks share
        their cost in a way that the labels cannot tell: read them as a sum.
        """
        scale = np.exp(self.offset_)
        interval = np.quantile(self.costs_.resampled, (0.025, 0.975), axis=0)
        return self.costs_.costs * scale, np.asarray(interval) * scale

    def save(self, folder: Path) -> None:
        """Write the parameters as JSON and the fit as one safetensors file."""
        if not hasattr(self, "process_"):
            raise PredictorError(f"the estimator {self.name} is not fitted", "Call fit before save.")
        arrays: tensors.Tensors = {
            "costs": self.costs_.costs,
            "resampled": self.costs_.resampled,
            "seen": np.asarray(self.seen_, dtype=np.float64),
            "scalars": np.array([self.offset_, self.costs_.smallest, self.usual_variance_, self.usual_std_]),
        }
        process = {f"{PROCESS}{name}": array for name, array in self.process_.tensors().items()}
        content = tensors.dump(arrays | process)
        header = files.make_header(self.name, self.get_params(), self.n_features_in_, [content])
        files.write(folder, header, self.suffix, [content])

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote; predictions are bit-equal.

        Raises
        ------
        PredictorError
            If a file is missing, damaged, too large, of another estimator, or not what it says it is.
        """
        header, (content, *more) = files.read(folder, cls.name, cls.suffix)
        if more:
            raise files.unusable(folder, "it has more than one member")
        estimator = files.make_unfitted(cls, header, folder)
        try:
            arrays = tensors.parse(content)
            process = {name: arrays.pop(name) for name in list(arrays) if name.startswith(PROCESS)}
            columns, samples = header.features, len(arrays.get("resampled", ()))
            shapes = {
                "costs": (columns,),
                "resampled": (samples, columns),
                "seen": (columns,),
                "scalars": (4,),
            }
            tensors.check_floats(arrays, shapes)
            offset, smallest, variance, std = arrays["scalars"].tolist()
            if not samples or smallest <= 0 or any(np.any(arrays[name] < 0) for name in COSTS):
                raise ValueError("a cost is negative")
            plain = {name.removeprefix(PROCESS): array for name, array in process.items()}
            estimator.process_ = FittedProcess.from_tensors(plain, features=columns)
        except ValueError as error:
            raise files.unusable(folder, str(error)) from error
        estimator.n_features_in_ = columns
        estimator.offset_ = offset
        estimator.usual_variance_, estimator.usual_std_ = variance, std
        estimator.seen_ = arrays["seen"] > 0
        estimator.costs_ = LayerCosts(arrays["costs"], arrays["resampled"], smallest)
        return estimator


def check_work(work: Floats) -> None:
    """Raise PredictorError if a row holds a negative amount of work."""
    bad = np.flatnonzero((work < 0).any(axis=1))
    if len(bad):
        raise PredictorError(
            f"{len(bad)} of {len(work)} rows of work hold a negative amount (first: row {bad[0]})",
            "Give the feature set work.",
        )
