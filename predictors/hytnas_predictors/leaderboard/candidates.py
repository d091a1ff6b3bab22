"""The estimators that a leaderboard compares, each cross-validated, and what becomes of those that fail."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from hytnas_datasets.labelled import LabelledSet
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.estimators import ESTIMATORS, estimator_class, list_estimators
from hytnas_predictors.leaderboard.trial import Trial
from hytnas_predictors.leaderboard.validation import CrossValidation, cross_validate
from hytnas_predictors.progress import ProgressFactory
from hytnas_predictors.recipes import Recipe, suits


def cross_validate_all(
    trial: Trial,
    recipes: Sequence[Recipe],
    bars: ProgressFactory,
    *,
    may_fail: Collection[str],
    failures: dict[str, Exception],
) -> dict[str, CrossValidation]:
    """Cross-validate each recipe's estimator on the same folds, by the estimator's name.

    Parameters
    ----------
    trial : Trial
    recipes : sequence of Recipe
        No two of one estimator.
    bars : ProgressFactory
    may_fail : collection of str
        Estimators that are left out where they fail; a failure of another is raised.
    failures : dict
        Where the exceptions of those that failed are put, by name.
    """
    fits = sum(len(np.unique(row)) for row in trial.folds)
    results = {}
    with bars("cross-validating predictors", len(recipes) * fits) as bar:
        for recipe in recipes:
            try:
                results[recipe.estimator] = cross_validate(
                    recipe.make,
                    trial.tables[recipe.features],
                    trial.y,
                    trial.folds,
                    scale=recipe.scale,
                    seed=trial.seed,
                    on_fit=bar.advance,
                )
            except Exception as error:
                if recipe.estimator not in may_fail:
                    raise
                failures[recipe.estimator] = error
    return results


def suitable_estimators(labelled: LabelledSet, failures: dict[str, Exception]) -> tuple[str, ...]:
    """The registered estimators that suit the labels, without installed ones that cannot be imported.

    Why not is put into ``failures``, by name. A bundled one that cannot be imported raises PredictorError.
    """
    for name in list_estimators():
        try:
            estimator_class(name)
        except PredictorError as error:
            if name in ESTIMATORS.bundled:
                raise
            failures[name] = error
    return tuple(
        name
        for name in list_estimators()
        if name not in failures and suits(name, labelled.target, labelled.space)
    )


def describe_failures(failures: Mapping[str, Exception]) -> list[str]:
    """One sentence on each estimator that is left out."""
    return [
        f"The estimator {name} is left out, because it fails: {' '.join(str(error).split()) or repr(error)}"
        for name, error in failures.items()
    ]
