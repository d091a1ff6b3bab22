"""Where a search goes: predictors tested on the tenth of the labels at each edge, fitted to all others."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hytnas_predictors.metrics import kendall_tau, mape
from hytnas_predictors.recipes import Recipe, from_scale, to_scale
from hytnas_predictors.result import EdgeScore

Floats = NDArray[np.float64]
SHARE: Final = 0.1
MIN_NETWORKS: Final = 4
"""Fewer networks at an edge have no order to speak of."""


def edge_rows(y: Floats, groups: NDArray[np.int64], *, lowest: bool) -> NDArray[np.bool_]:
    """(n,) whether each row is of the tenth of the networks with the lowest, or the highest, labels.

    Parameters
    ----------
    y : (n,) labels
    groups : (n,) int
        Network of each row, numbered from 0; rows of one network stay together, placed by their mean label.
    lowest : bool
    """
    counts = np.bincount(groups)
    means = np.bincount(groups, weights=y) / np.maximum(counts, 1)
    order = np.argsort(means if lowest else -means, kind="stable")
    return np.isin(groups, order[: max(MIN_NETWORKS, round(SHARE * len(counts)))])


def score_edge(
    recipe: Recipe, x: Floats, y: Floats, edge: NDArray[np.bool_], rng: np.random.Generator
) -> EdgeScore:
    """Scores on the rows of the edge, of the recipe fitted to all others.

    Parameters
    ----------
    recipe : Recipe
    x : (n, d) features of the recipe
    y : (n,) labels
    edge : (n,) bool, from `edge_rows`
    rng : numpy.random.Generator
    """
    estimator = recipe.make().fit(x[~edge], to_scale(y[~edge], recipe.scale), rng=rng)
    predicted, _ = from_scale(*estimator.predict_with_std(x[edge]), recipe.scale)
    return EdgeScore(kendall_tau(y[edge], predicted), mape(y[edge], predicted))
