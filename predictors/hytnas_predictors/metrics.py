"""How well predictions rank and match labels; pure functions on arrays.

References
----------
.. [K45] Kendall, "The treatment of ties in ranking problems", Biometrika 33, 1945 (tau-b).
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import mean_absolute_percentage_error, root_mean_squared_error

Floats = NDArray[np.float64]
Metric = Callable[[Floats, Floats], float]
MAX_COMPARED = 200
"""Up to so many labels every pair is compared, as the definition has it: SciPy takes a millisecond a call for
any number, and a noise ceiling takes 1,600 calls."""


def kendall_tau(y: Floats, predicted: Floats, /) -> float:
    """Kendall's tau-b [K45]_ of (n,) labels and predictions; 0 where either is constant, or n is below 2.

    >>> round(kendall_tau(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])), 3)
    0.667
    """
    if len(y) < 2:
        return 0.0
    if len(y) > MAX_COMPARED or np.isnan(y).any() or np.isnan(predicted).any():
        return _or_zero(float(stats.kendalltau(y, predicted, variant="b").statistic))
    of_y, of_predicted = _order(y), _order(predicted)
    untied_y, untied_predicted = np.count_nonzero(of_y) // 2, np.count_nonzero(of_predicted) // 2
    if untied_y == 0 or untied_predicted == 0:
        return 0.0
    concordance = np.sum(of_y * of_predicted, dtype=np.int64) // 2
    return float(np.clip(concordance / np.sqrt(untied_y) / np.sqrt(untied_predicted), -1.0, 1.0))


def spearman(y: Floats, predicted: Floats, /) -> float:
    """Spearman's rank correlation of (n,) labels and predictions; 0 where either is constant.

    Examples
    --------
    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 90.0]))
    1.0
    """
    if len(y) < 2 or np.ptp(y) == 0 or np.ptp(predicted) == 0:
        return 0.0
    return float(stats.spearmanr(y, predicted).statistic)


def rmse(y: Floats, predicted: Floats, /) -> float:
    """Root mean square error in the unit of the labels.

    Examples
    --------
    >>> round(rmse(np.array([1.0, 2.0]), np.array([1.0, 4.0])), 3)
    1.414
    """
    return float(root_mean_squared_error(y, predicted))


def mape(y: Floats, predicted: Floats, /) -> float:
    """Mean of ``|predicted - y| / |y|`` over the labels that are not 0, a fraction; NaN if all are.

    Examples
    --------
    >>> round(mape(np.array([10.0, 20.0]), np.array([11.0, 18.0])), 3)
    0.1
    """
    kept = y != 0
    if not kept.any():
        return math.nan
    # scikit-learn divides by a tiny number where a label is 0: such a label would be all that one sees.
    return float(mean_absolute_percentage_error(y[kept], predicted[kept]))


def within_10_percent(y: Floats, predicted: Floats, /) -> float:
    """Share of predictions, in [0, 1], that are off by at most a tenth of the label.

    Examples
    --------
    >>> within_10_percent(np.array([10.0, 20.0]), np.array([10.5, 30.0]))
    0.5
    """
    return float(np.mean(np.abs(predicted - y) <= 0.1 * np.abs(y)))


def within_5_percent(y: Floats, predicted: Floats, /) -> float:
    """Share of predictions, in [0, 1], that are off by at most a twentieth of the label.

    Examples
    --------
    >>> within_5_percent(np.array([10.0, 20.0]), np.array([10.5, 21.5]))
    0.5
    """
    return float(np.mean(np.abs(predicted - y) <= 0.05 * np.abs(y)))


def _order(values: Floats) -> NDArray[np.int8]:
    """(n, n) the sign of each row's value less each column's, which may be infinite."""
    return np.subtract(values[:, None] > values, values[:, None] < values, dtype=np.int8)


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
