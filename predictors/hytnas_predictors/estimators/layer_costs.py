"""What each kind of work costs on a device: a sum over work columns whose coefficients cannot be negative.

A latency is a sum over operators, and an operator takes no negative time. So the coefficients that minimise
the squared relative error, by non-negative least squares [LH74]_, can be read as costs: so many nanoseconds
for one multiply-accumulate of a depth-wise convolution. A weak ridge spreads the cost of columns that the
labels cannot tell apart, and lets ten labels be enough.

References
----------
.. [LH74] Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Floats = NDArray[np.float64]

MAX_ITERATIONS: Final = 10_000
SMALLEST_SHARE: Final = 1e-3


@dataclass(frozen=True)
class LayerCosts:
    """A fitted sum.

    Attributes
    ----------
    costs : (c,) float64
        Non-negative cost of one unit of each column, in the unit of the labels.
    resampled : (b, c) float64
        The costs fitted to bootstrap samples of the rows.
    smallest : float
        No sum is below this: networks without any known work are not free.
    """

    costs: Floats
    resampled: Floats
    smallest: float

    def log_sum(self, work: Floats) -> Floats:
        """(n,) logarithm of the summed costs of (n, c) work."""
        return log_sum(self.costs, self.smallest, work)

    def log_variance(self, work: Floats) -> Floats:
        """(n,) variance of `log_sum` over the bootstrap samples: what other rows would have made of it."""
        sums = np.maximum(work @ self.resampled.T, self.smallest)
        return np.asarray(np.log(sums).var(axis=1))


def log_sum(costs: Floats, smallest: float, work: Floats) -> Floats:
    """(n,) logarithm of the summed (c,) costs of (n, c) work, of ``smallest`` where the sum is below."""
    return np.asarray(np.log(np.maximum(work @ costs, smallest)))


def fit_costs(work: Floats, labels: Floats, *, ridge: float) -> Floats:
    """(c,) non-negative costs that minimise the relative error of (n,) positive ``labels``.

    Parameters
    ----------
    work : (n, c) non-negative
    labels : (n,) positive
    ridge : float
        Weight of the squared mean shares of the columns in a label.
    """
    shares = work / labels[:, None]
    scale = np.sqrt(np.mean(shares**2, axis=0))
    used = scale > 0
    matrix = np.vstack([shares[:, used] / scale[used], ridge * np.eye(int(used.sum()))])
    wanted = np.concatenate([np.ones(len(labels)), np.zeros(int(used.sum()))])
    costs = np.zeros(work.shape[1])
    if used.any():
        costs[used] = nnls(matrix, wanted, maxiter=MAX_ITERATIONS)[0] / scale[used]
    return costs


def fit_layer_costs(
    work: Floats, labels: Floats, *, ridge: float, resamples: int, rng: np.random.Generator
) -> LayerCosts:
    """The sum, with the spread of its costs over bootstrap samples.

    Parameters
    ----------
    work : (n, c) non-negative
    labels : (n,) positive
    ridge : float
    resamples : int
    rng : numpy.random.Generator
    """
    drawn = rng.integers(len(labels), size=(resamples, len(labels)))
    return LayerCosts(
        fit_costs(work, labels, ridge=ridge),
        np.stack([fit_costs(work[rows], labels[rows], ridge=ridge) for rows in drawn]),
        SMALLEST_SHARE * float(labels.min()),
    )


def left_out_residuals(
    work: Floats, labels: Floats, *, ridge: float, folds: int, rng: np.random.Generator
) -> Floats:
    """(n,) logarithm of each label over the sum that was fitted to the other folds.

    Residuals of the rows that a sum was fitted to are too small where the rows are few: they would say
    nothing of what is left in a new network. A row that alone has some column keeps the residual of the sum
    that was fitted to all: without the row that work has no cost, and the rest would stand for it twice.
    """
    whole = fit_costs(work, labels, ridge=ridge)
    fold = rng.permutation(len(labels)) % min(folds, len(labels))
    smallest = SMALLEST_SHARE * float(labels.min())
    residuals = np.empty(len(labels))
    for held in np.unique(fold):
        new = fold == held
        costs = fit_costs(work[~new], labels[~new], ridge=ridge)
        sums = work[new] @ costs
        alone = (work[new][:, ~work[~new].any(axis=0)] > 0).any(axis=1)
        sums[alone] = work[new][alone] @ whole
        residuals[new] = np.log(labels[new] / np.maximum(sums, smallest))
    return residuals
