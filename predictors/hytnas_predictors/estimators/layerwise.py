"""A latency as the sum of what its operators cost, and a Gaussian process on what the sum leaves over.

``log y = log(work . costs) + g(log work)``: the sum carries a prediction to where nothing was measured, the
process corrects it where labels are near.
"""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from hytnas_predictors.estimators.base import ArrayEstimator, Floats
from hytnas_predictors.estimators.gaussian_process import FittedProcess, fit_process
from hytnas_predictors.estimators.layer_costs import LayerCosts, fit_layer_costs, left_out_residuals
from hytnas_predictors.estimators.tensors import Tensors, check_floats
from hytnas_predictors.estimators.work import WorkEstimator, check_work

PROCESS: Final = "process."
COSTS: Final = ("costs", "resampled")


@dataclass(frozen=True)
class LayerwiseModel:
    """A fitted sum over c work columns, and the process on what it leaves over.

    Attributes
    ----------
    offset : float
        Mean logarithm of the labels: costs are those of labels divided by its exponential.
    costs : LayerCosts
    process : FittedProcess
        Of the logarithms of work.
    usual_variance : float
        Mean variance of the log sum at the training rows.
    usual_std : float
        Mean standard deviation of a new label at the training rows.
    seen : (c,) bool
        Whether a training row does this work.
    """

    offset: float
    costs: LayerCosts
    process: FittedProcess
    usual_variance: float
    usual_std: float
    seen: NDArray[np.bool_]

    def predict(self, work: Floats) -> tuple[Floats, Floats]:
        """(n,) mean and standard deviation of the logarithms of new labels."""
        left, spread = self.process.predict(np.log1p(work))
        unlike = np.maximum(self.costs.log_variance(work) - self.usual_variance, 0.0)
        return self.offset + self.costs.log_sum(work) + left, np.sqrt(spread**2 + unlike)

    def tensors(self) -> Tensors:
        """All of it as named arrays, for `from_tensors`."""
        arrays: Tensors = {
            "costs": self.costs.costs,
            "resampled": self.costs.resampled,
            "seen": np.asarray(self.seen, dtype=np.float64),
            "scalars": np.array([self.offset, self.costs.smallest, self.usual_variance, self.usual_std]),
        }
        return arrays | {f"{PROCESS}{name}": array for name, array in self.process.tensors().items()}

    @classmethod
    def from_tensors(cls, arrays: Tensors, *, features: int) -> Self:
        """What `tensors` gave, for ``features`` columns.

        Raises
        ------
        ValueError
            If an array is missing, of another shape or type, not finite, or no part of such a model.
        """
        process = {name: array for name, array in arrays.items() if name.startswith(PROCESS)}
        ours = {name: array for name, array in arrays.items() if name not in process}
        samples = len(ours.get("resampled", ()))
        shapes = {"costs": (features,), "seen": (features,), "resampled": (samples, features)}
        check_floats(ours, shapes | {"scalars": (4,)})
        offset, smallest, variance, std = ours["scalars"].tolist()
        if not samples or smallest <= 0 or any(np.any(ours[name] < 0) for name in COSTS):
            raise ValueError("a cost is negative")
        plain = {name.removeprefix(PROCESS): array for name, array in process.items()}
        return cls(
            offset=offset,
            costs=LayerCosts(ours["costs"], ours["resampled"], smallest),
            process=FittedProcess.from_tensors(plain, features=features),
            usual_variance=variance,
            usual_std=std,
            seen=ours["seen"] > 0,
        )


class LayerwiseEstimator(WorkEstimator, ArrayEstimator):
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

    name = "layerwise"

    def __init__(self, *, ridge: float = 0.03, resamples: int = 30, folds: int = 10) -> None:
        self.ridge = ridge
        self.resamples = resamples
        self.folds = folds

    def unit_costs(self) -> tuple[Floats, Floats]:
        """(c,) cost of one unit of each column in the unit of the labels, and its (2, c) 95 % interval.

        The interval is that of the bootstrap over the rows. Columns that go together in all networks share
        their cost in a way that the labels cannot tell: read them as a sum.
        """
        self._check_fitted()
        costs, scale = self.model_.costs, np.exp(self.model_.offset)
        interval = np.quantile(costs.resampled, (0.025, 0.975), axis=0)
        return costs.costs * scale, np.asarray(interval) * scale

    def _fit(self, x: Floats, y: Floats, rng: np.random.Generator) -> LayerwiseModel:
        check_work(x)
        offset = float(y.mean())
        labels = np.exp(y - offset)
        if np.ptp(y) == 0:  # nothing to tell costs apart by
            none = np.zeros(x.shape[1])
            costs, left = LayerCosts(none, none[None, :], 1.0), np.zeros(len(x))
        else:
            costs = fit_layer_costs(x, labels, ridge=self.ridge, resamples=self.resamples, rng=rng)
            left = left_out_residuals(x, labels, ridge=self.ridge, folds=self.folds, rng=rng)
        found = LayerwiseModel(
            offset=offset,
            costs=costs,
            process=fit_process(np.log1p(x), left, rng=rng),
            usual_variance=float(costs.log_variance(x).mean()),
            usual_std=1.0,
            seen=np.asarray(x.any(axis=0)),
        )
        return replace(found, usual_std=float(found.predict(x)[1].mean()))

    def _from_tensors(self, arrays: Tensors, features: int) -> LayerwiseModel:
        return LayerwiseModel.from_tensors(arrays, features=features)
