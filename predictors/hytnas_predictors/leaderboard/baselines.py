"""What every predictor must beat: the mean of the labels, and a line through one figure of the layer plan.

Both are cross-validated like the predictors. They are plain functions of the training part, no estimators:
they are never saved nor searched with. The figure may itself come of the training part, as that of the table
does.
"""

from collections.abc import Callable, Collection
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.families import has_networks
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import build_plan, count_network
from hytnas_datasets.targets import Scale
from hytnas_predictors.leaderboard.lookup_table import ProfiledLayers
from hytnas_predictors.recipes import from_scale, to_scale
from hytnas_predictors.roofline import estimate_latency_ms

Floats = NDArray[np.float64]
TABLE: Final = "table"
Baseline = Callable[[Floats, Floats, Floats], Floats]
Column = Callable[[NDArray[np.bool_]], Floats]
"""From the (n,) rows that a baseline is fitted to, to its (n,) column."""


def baseline_columns(labelled: LabelledSet, folds: NDArray[np.int64]) -> dict[str, Column]:
    """Logarithms of a figure of the layer plan, by the name of its baseline; none without layer plans.

    The roofline and the look-up table estimate a latency: they are baselines of targets that follow it. The
    table is left out unless each training part of the (r, n) ``folds`` has a profiled network.
    """
    if not has_networks(labelled.space):
        return {}
    task = labelled.context.task
    counts = [count_network(architecture, task) for architecture in labelled.architectures]
    columns = {
        "macs": fixed_column(np.log1p([count.macs for count in counts])),
        "params": fixed_column(np.log1p([count.params for count in counts])),
    }
    if labelled.target.follows_latency:
        estimates = [estimate_latency_ms(architecture, task) for architecture in labelled.architectures]
        columns["roofline"] = fixed_column(np.log(estimates))
        profiled = np.array([profile is not None for profile in labelled.profiles] or [False])
        if profiled.any() and all(np.ptp(row[profiled]) > 0 for row in folds):
            plans = [build_plan(architecture, task) for architecture in labelled.architectures]
            layers = ProfiledLayers(plans, labelled.profiles)
            columns[TABLE] = lambda fitted: np.log1p(layers.estimate_us(fitted))
    return columns


def describe_table(labelled: LabelledSet, baselines: Collection[str]) -> list[str]:
    """One sentence on the look-up table: what it rests on, or why there is none; none where none could be."""
    if not (labelled.target.follows_latency and has_networks(labelled.space)):
        return []
    count = sum(profile is not None for profile in labelled.profiles)
    if TABLE in baselines:
        return [f"The baseline {TABLE} rests on the profiles of {count} of {len(labelled)} networks."]
    return [
        f"There is no baseline {TABLE} of single layers' times, because {count} of {len(labelled)} networks "
        "were profiled. In a study, this profiles some: hytnas-profile collect passes --profile --n 20."
    ]


def fixed_column(column: Floats) -> Column:
    """A column that does not depend on the rows that are fitted to."""

    def give(fitted: NDArray[np.bool_]) -> Floats:
        del fitted
        return column

    return give


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
    fit: Baseline, column: Column, y: Floats, folds: NDArray[np.int64], scale: Scale
) -> Floats:
    """(r, n) out-of-fold predictions in the unit of the labels.

    Parameters
    ----------
    fit : callable
        From training column, training labels and new column to predictions.
    column : callable
        Gives the column, from the training rows of a fold.
    y : (n,) labels
    folds : (r, n) int, as of the predictors
    scale : scale on which the baseline is fitted
    """
    predicted = np.empty(folds.shape)
    for repeat, assigned in enumerate(folds):
        for fold in np.unique(assigned):
            new = assigned == fold
            x = column(~new)
            mean = fit(x[~new], to_scale(y[~new], scale), x[new])
            predicted[repeat, new] = from_scale(mean, np.zeros(len(mean)), scale)[0]
    return predicted
