"""What every predictor must beat: the mean of the labels, and a line through one figure of the layer plan.

Both are cross-validated like the predictors. They are plain functions of the training part, no estimators:
they are never saved nor searched with.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.families import has_networks
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import count_network
from hytnas_datasets.targets import Scale
from hytnas_predictors.recipes import from_scale, to_scale
from hytnas_predictors.roofline import estimate_latency_ms

Floats = NDArray[np.float64]
Baseline = Callable[[Floats, Floats, Floats], Floats]


def baseline_columns(labelled: LabelledSet) -> dict[str, Floats]:
    """(n,) logarithms of a figure of the layer plan, by the name of its baseline; none without layer plans.

    The roofline estimates a latency: it is a baseline of targets that follow the latency.
    """
    if not has_networks(labelled.space):
        return {}
    task = labelled.context.task
    counts = [count_network(architecture, task) for architecture in labelled.architectures]
    columns = {
        "macs": np.log1p([count.macs for count in counts]),
        "params": np.log1p([count.params for count in counts]),
    }
    if labelled.target.follows_latency:
        estimates = [estimate_latency_ms(architecture, task) for architecture in labelled.architectures]
        columns["roofline"] = np.log(estimates)
    return columns


def fit_mean(x: Floats, y: Floats, x_new: Floats) -> Floats:
    """The mean of ``y``, for each row of ``x_new``."""
    del x
    return np.full(len(x_new), y.mean())


def fit_line(x: Floats, y: Floats, x_new: Floats) -> Floats:
    """The least-squares line through (n,) ``x`` and ``y``, at (m,) ``x_new``."""
    variance = x.var()
    slope = np.mean((x - x.mean()) * (y - y.mean())) / variance if variance > 0 else 0.0
    return np.asarray(y.mean() + slope * (x_new - x.mean()))


def cross_validate_baseline(
    fit: Baseline, x: Floats, y: Floats, folds: NDArray[np.int64], scale: Scale
) -> Floats:
    """(r, n) out-of-fold predictions in the unit of the labels.

    Parameters
    ----------
    fit : callable
        From training column, training labels and new column to predictions.
    x : (n,) the column
    y : (n,) labels
    folds : (r, n) int, as of the predictors
    scale : scale on which the baseline is fitted
    """
    predicted = np.empty(folds.shape)
    for repeat, assigned in enumerate(folds):
        for fold in np.unique(assigned):
            new = assigned == fold
            mean = fit(x[~new], to_scale(y[~new], scale), x[new])
            predicted[repeat, new] = from_scale(mean, np.zeros(len(mean)), scale)[0]
    return predicted
