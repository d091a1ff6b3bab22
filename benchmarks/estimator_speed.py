"""Fit and prediction of each estimator against the bare library calls that it is made of.

Prints, for each, the CPU time of the estimator and that of the library, and their ratio; both in one process,
in turns, the least of some rounds. The labels are the bundled instruction counts.

    python benchmarks/estimator_speed.py [--labels N] [--rows N] [--rounds N]

The perceptrons are held against as many networks of scikit-learn (L-BFGS, 100 iterations). The random forest
is predicted by numpy here, from arrays that can be kept without pickle.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import xgboost
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import BayesianRidge
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from hytnas_datasets.bundled import load
from hytnas_predictors.estimators import make_estimator
from hytnas_predictors.features import make_features

Floats = np.ndarray
Predict = Callable[[Floats], Any]


def bare_xgboost(x: Floats, y: Floats) -> Predict:
    params = {
        "max_depth": 3, "learning_rate": 0.05, "subsample": 0.8, "colsample_bytree": 0.4,
        "min_child_weight": 2.0, "tree_method": "hist", "max_bin": 64, "nthread": 1, "verbosity": 0,
    }  # fmt: skip
    models = [
        xgboost.train(params | {"seed": seed}, xgboost.DMatrix(x, label=y, nthread=1), num_boost_round=300)
        for seed in range(5)
    ]
    return lambda new: np.mean([model.inplace_predict(new) for model in models], axis=0)


def bare_lightgbm(x: Floats, y: Floats) -> Predict:
    params = {
        "learning_rate": 0.08, "num_leaves": 8, "min_data_in_leaf": 5, "min_data_in_bin": 1, "max_bin": 63,
        "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.4, "lambda_l2": 1.0,
        "num_threads": 1, "force_col_wise": True, "verbosity": -1,
    }  # fmt: skip
    models = [
        lightgbm.train(
            params | {"seed": seed}, lightgbm.Dataset(x, label=y, params=params), num_boost_round=150
        )
        for seed in range(5)
    ]
    return lambda new: np.mean([model.predict(new, num_threads=1) for model in models], axis=0)


def bare_gp(x: Floats, y: Floats) -> Predict:
    scaler, root = StandardScaler().fit(x), np.sqrt(x.shape[1])
    kernel = ConstantKernel(1.0, (1e-2, 1e3)) * Matern(2.0, (1.0, 100.0), nu=2.5) + WhiteKernel(
        0.1, (1e-6, 10.0)
    )
    model = GaussianProcessRegressor(kernel, normalize_y=True).fit(scaler.transform(x) / root, y)
    return lambda new: model.predict(scaler.transform(new) / root, return_std=True)


def bare_ridge(x: Floats, y: Floats) -> Predict:
    scaler = StandardScaler().fit(x)
    model = BayesianRidge().fit(scaler.transform(x), y)
    return lambda new: model.predict(scaler.transform(new), return_std=True)


def bare_forest(x: Floats, y: Floats) -> Predict:
    return RandomForestRegressor(100, max_features=0.4, min_samples_leaf=2, random_state=0).fit(x, y).predict


def bare_networks(hidden: tuple[int, ...]) -> Callable[[Floats, Floats], Predict]:
    def fit(x: Floats, y: Floats) -> Predict:
        scaler, mean, std = StandardScaler().fit(x), y.mean(), y.std()
        models = [
            MLPRegressor(
                hidden_layer_sizes=hidden,
                solver="lbfgs",
                alpha=2.0,
                max_iter=100,
                max_fun=400,
                random_state=seed,
            )
            for seed in range(8)
        ]
        for model in models:
            model.fit(scaler.transform(x), (y - mean) / std)
        return lambda new: (
            np.mean([model.predict(scaler.transform(new)) for model in models], axis=0) * std + mean
        )

    return fit


BARE = {
    "xgboost": bare_xgboost,
    "lightgbm": bare_lightgbm,
    "gp": bare_gp,
    "ridge": bare_ridge,
    "random-forest": bare_forest,
    "mlp2": bare_networks((32, 32)),
    "mlp3": bare_networks((32, 32, 32)),
}


def through_the_toolkit(name: str) -> Callable[[Floats, Floats], Predict]:
    return lambda x, y: make_estimator(name).fit(x, y, rng=np.random.default_rng(0)).predict_with_std


def cpu_times(
    fit: Callable[[Floats, Floats], Predict], x: Floats, y: Floats, new: Floats
) -> tuple[float, float]:
    """CPU seconds of one fit and of one prediction."""
    started = time.process_time()
    predict = fit(x, y)
    fitted = time.process_time()
    predict(new)
    return fitted - started, time.process_time() - fitted


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--rows", type=int, default=20_000, help="how many rows are predicted")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    labelled = load("hyt-icount-a53")
    rng = np.random.default_rng(0)
    table = make_features(labelled.space, labelled.architectures, labelled.context.task, ("physical",)).x
    some = rng.permutation(len(labelled.y))[: options.labels]
    x, y = table[some], np.log(labelled.y[some])
    new = table[rng.integers(len(table), size=options.rows)]
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(
        f"{len(x)} labels, {len(new)} rows predicted; CPU milliseconds, the least of {options.rounds} rounds"
    )
    print(f"{'':14}{'fit':>9}{'bare':>9}{'ratio':>7}{'predict':>12}{'bare':>9}{'ratio':>7}")
    with threadpool_limits(1):
        for name, bare in BARE.items():
            rounds = [
                (*cpu_times(through_the_toolkit(name), x, y, new), *cpu_times(bare, x, y, new))
                for _ in range(options.rounds)
            ]
            fit, predict, bare_fit, bare_predict = 1e3 * np.min(rounds, axis=0)
            print(
                f"{name:14}{fit:9.1f}{bare_fit:9.1f}{fit / bare_fit:7.2f}"
                f"{predict:12.1f}{bare_predict:9.1f}{predict / bare_predict:7.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
