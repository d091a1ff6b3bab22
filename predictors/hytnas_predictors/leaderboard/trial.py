"""What all predictors of a leaderboard are tried on: the same labels, features, folds and seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.labelled import LabelledSet
from hytnas_predictors.features import FeatureSet, make_features
from hytnas_predictors.metrics import kendall_tau, mape
from hytnas_predictors.recipes import Recipe, from_scale, to_scale

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """The data of a comparison.

    Attributes
    ----------
    y : (n,) float64
        The labels.
    groups : (n,) int64
        Network of each row, numbered from 0.
    tables : mapping
        (n, d) features by feature sets, from `feature_tables`.
    folds : (r, n) int64
        From `grouped_folds`.
    seed : int
        Every random draw comes from a generator of the seed and of what it is drawn for.
    """

    y: Floats
    groups: NDArray[np.int64]
    tables: Mapping[tuple[FeatureSet, ...], Floats]
    folds: NDArray[np.int64]
    seed: int

    @property
    def networks(self) -> int:
        """Number of different networks."""
        return int(self.groups.max()) + 1

    def score_others(
        self, recipe: Recipe, fitted: NDArray[np.bool_], rng: np.random.Generator
    ) -> tuple[float, float]:
        """Kendall's tau-b and the mean relative error on all other rows, of a recipe fitted to some.

        Parameters
        ----------
        recipe : Recipe
            Whose features are among the tables.
        fitted : (n,) bool
            The rows that it is fitted to.
        rng : numpy.random.Generator
        """
        x, new = self.tables[recipe.features], ~fitted
        estimator = recipe.make().fit(x[fitted], to_scale(self.y[fitted], recipe.scale), rng=rng)
        predicted, _ = from_scale(*estimator.predict_with_std(x[new]), recipe.scale)
        return kendall_tau(self.y[new], predicted), mape(self.y[new], predicted)


def feature_tables(labelled: LabelledSet, recipes: Sequence[Recipe]) -> dict[tuple[FeatureSet, ...], Floats]:
    """The (n, d) features of the labels by feature sets, each made once."""
    return {
        sets: make_features(labelled.space, labelled.architectures, labelled.context.task, sets).x
        for sets in dict.fromkeys(recipe.features for recipe in recipes)
    }
