"""What ranks the latencies published beside the paper: features, robust losses and other estimators.

Cross-validated on all rows, nothing chosen by the rows that are held out. A star marks a shipped default. The
best figures known are 0.774 for a single model and 0.776 for an ensemble; labels this noisy allow about 0.78.

    python benchmarks/released_variants.py [--repeats 1] [--json FILE]

The data are read as by ``predictors_released.py``.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from predictors_released import read_labels, reference_folder
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from hytnas_predictors.estimators import make_estimator
from hytnas_predictors.features import FeatureSet, make_features
from hytnas_predictors.intervals import group_codes
from hytnas_predictors.leaderboard.validation import grouped_folds
from hytnas_predictors.metrics import kendall_tau, mape
from hytnas_predictors.recipes import default_recipe

Floats = np.ndarray
Fit = Callable[[Floats, Floats, int], Callable[[Floats], Floats]]
PHYSICAL: tuple[FeatureSet, ...] = ("ordinal", "physical")
WIDTHS: tuple[FeatureSet, ...] = ("widths", "ordinal")


def ours(name: str, **params: Any) -> Fit:
    """An estimator of the toolkit."""
    return lambda x, y, seed: (
        make_estimator(name, **params).fit(x, y, rng=np.random.default_rng(seed)).predict
    )


def others(make: Callable[[int], Any]) -> Fit:
    """A regressor of scikit-learn, from a seed."""
    return lambda x, y, seed: make(seed).fit(x, y).predict


def boosted(objective: str, **params: Any) -> Fit:
    """Three boosted ensembles of LightGBM with the shipped parameters, under another loss."""
    shipped = {
        "learning_rate": 0.08, "num_leaves": 8, "min_data_in_leaf": 5, "min_data_in_bin": 1, "max_bin": 63,
        "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.4, "lambda_l2": 1.0,
        "num_threads": 1, "force_col_wise": True, "verbosity": -1, "objective": objective,
    } | params  # fmt: skip

    def fit(x: Floats, y: Floats, seed: int) -> Callable[[Floats], Floats]:
        models = [
            lightgbm.train(
                shipped | {"seed": 10 * seed + member}, lightgbm.Dataset(x, y, params=shipped), 150
            )
            for member in range(3)
        ]
        return lambda new: np.mean([model.predict(new, num_threads=1) for model in models], axis=0)

    return fit


def support_vectors(seed: int) -> Any:
    del seed
    return make_pipeline(StandardScaler(), SVR(C=3, gamma=0.01, epsilon=0.05))


def extra_trees(seed: int) -> Any:
    return ExtraTreesRegressor(100, min_samples_leaf=3, max_features=0.6, random_state=seed)


def forest(seed: int) -> Any:
    return RandomForestRegressor(100, min_samples_leaf=5, max_features=0.5, random_state=seed)


VARIANTS: tuple[tuple[str, tuple[FeatureSet, ...], Fit], ...] = (
    ("boosted trees *", PHYSICAL, ours("lightgbm")),
    ("boosted trees", ("physical",), ours("lightgbm")),
    ("boosted trees", ("ordinal",), ours("lightgbm")),
    ("boosted trees", ("widths", "ordinal", "physical"), ours("lightgbm")),
    ("boosted trees", WIDTHS, ours("lightgbm")),
    (
        "the same, 400 of four leaves",
        WIDTHS,
        ours("lightgbm", num_leaves=4, n_estimators=400, learning_rate=0.05),
    ),
    ("the same, Huber's loss", WIDTHS, boosted("huber", alpha=0.1)),
    ("the same, absolute loss", WIDTHS, boosted("regression_l1")),
    ("extremely randomised trees", WIDTHS, others(extra_trees)),
    ("random forest", WIDTHS, others(forest)),
    ("Gaussian process *", ("physical",), ours("gp")),
    ("Gaussian process", WIDTHS, ours("gp")),
    ("support vectors", ("physical",), others(support_vectors)),
    ("support vectors", WIDTHS, others(support_vectors)),
    ("gp, ridge, lightgbm stacked", ("physical",), ours("ensemble")),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    labelled = read_labels(reference_folder())["latency_ms"]
    folds = grouped_folds(group_codes(labelled.plan_hashes), 5, options.repeats, 0)
    y, rows = np.log(labelled.y), []
    recipe = default_recipe("ensemble", labelled.target, labelled.space)
    shipped = ("ensemble *", recipe.features, ours("ensemble", **recipe.params))
    for name, features, fit in (*VARIANTS, shipped):
        x = make_features(labelled.space, labelled.architectures, labelled.context.task, features).x
        predicted = np.empty(folds.shape)
        for repeat, fold in np.ndindex(options.repeats, 5):
            new = folds[repeat] == fold
            predicted[repeat, new] = fit(x[~new], y[~new], 5 * repeat + fold)(x[new])
        tau = np.mean([kendall_tau(y, row) for row in predicted])
        error = np.mean([mape(labelled.y, np.exp(row)) for row in predicted])
        rows.append([name, "+".join(features), tau, error])
        print(f"{name:<32}{'+'.join(features):<26}{tau:>7.4f}{error:>8.2%}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
