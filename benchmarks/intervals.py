"""How often the leaderboard's intervals hold, where the truth is known.

Four simulations, each repeated many times:

- ``tau``: pairs of correlated normal values, tau known in closed form (Greiner: 2/pi asin rho).
- ``validated``: the whole way, a ridge regression cross-validated on noisy data; the truth is its mean tau on
  fresh rows when it is fitted to as many rows as a fold leaves.
- ``paired``: two predictors that are equally good by symmetry; how often they are told apart (aim: 5 %).
- ``ceiling``: labels of known truth and noise; bias of the ceiling, coverage of the tau between these very
  labels and the truth, and how often a perfect predictor would be called a leak (aim: at most 2.5 %).

    python benchmarks/intervals.py [--simulations 300] [--only NAME] [--json FILE]
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from hytnas_datasets.targets import LATENCY
from hytnas_predictors.intervals import bootstrap_tau, percentile_interval, resample_weights
from hytnas_predictors.leaderboard.ceiling import noise_ceiling
from hytnas_predictors.leaderboard.comparison import Contender, difference, tells_apart
from hytnas_predictors.leaderboard.validation import cross_validate, grouped_folds
from hytnas_predictors.metrics import kendall_tau

FEATURES = 10
RESAMPLES = 500


class Ridge:
    """Linear least squares with a penalty, on some of the columns: quick enough for thousands of fits."""

    def __init__(self, columns: slice = slice(None)) -> None:
        self.columns = columns

    def fit(self, x: Any, y: Any, *, rng: np.random.Generator) -> Self:
        """Weights for centred features."""
        del rng
        x = x[:, self.columns]
        self.mean = y.mean()
        self.weights = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ (y - self.mean))
        return self

    def predict(self, x: Any) -> Any:
        """(n,) predictions."""
        return x[:, self.columns] @ self.weights + self.mean

    def predict_with_std(self, x: Any) -> tuple[Any, Any]:
        """Predictions with a standard deviation of 0."""
        return self.predict(x), np.zeros(len(x))


def interval_of(y: Any, predicted: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """The interval as in the leaderboard, and the resampled taus behind it."""
    rows = np.arange(len(y))
    taus = bootstrap_tau(y, predicted, rows, resample_weights(rows, RESAMPLES, rng))
    return percentile_interval(float(np.mean([kendall_tau(y, row) for row in predicted])), taus), taus


def tau_coverage(simulations: int) -> Iterator[dict[str, Any]]:
    for n in (40, 80, 300):
        for rho in (0.0, 0.5, 0.9, 0.98):
            truth = 2 / np.pi * np.arcsin(rho)
            rng = np.random.default_rng([n, int(100 * rho)])
            intervals = []
            for _ in range(simulations):
                y = rng.normal(size=n)
                predicted = rho * y + np.sqrt(1 - rho**2) * rng.normal(size=n)
                intervals.append(interval_of(y, predicted[None], rng)[0])
            yield {"n": n, "tau": truth, **covered(intervals, truth)}


def covered(intervals: list[Any], truth: float) -> dict[str, float]:
    return {
        "bias": float(np.mean([each.value for each in intervals]) - truth),
        "coverage": float(np.mean([each.low <= truth <= each.high for each in intervals])),
        "width": float(np.mean([each.high - each.low for each in intervals])),
    }


def make_data(n: int, noise: float, rng: np.random.Generator) -> tuple[Any, Any]:
    x = rng.normal(size=(n, FEATURES))
    return x, x.sum(axis=1) / np.sqrt(FEATURES) + noise * rng.normal(size=n)


def validated_coverage(simulations: int) -> Iterator[dict[str, Any]]:
    for n in (40, 80, 300):
        for noise in (0.1, 0.5, 2.0):
            rng = np.random.default_rng([n, int(10 * noise)])
            fresh_x, fresh_y = make_data(2000, noise, rng)
            fitted = [Ridge().fit(*make_data(4 * n // 5, noise, rng), rng=rng) for _ in range(100)]
            truth = float(np.mean([kendall_tau(fresh_y, each.predict(fresh_x)) for each in fitted]))
            intervals = []
            for seed in range(simulations):
                x, y = make_data(n, noise, rng)
                result = cross_validate(Ridge, x, y, grouped_folds(np.arange(n), 5, 3, seed))
                intervals.append(interval_of(y, result.predicted, rng)[0])
            yield {"n": n, "noise": noise, "tau": truth, **covered(intervals, truth)}


def paired_errors(simulations: int) -> Iterator[dict[str, Any]]:
    half = FEATURES // 2
    rivals: dict[str, tuple[Callable[[], Ridge], Callable[[], Ridge]]] = {
        "disjoint halves of the features": (
            lambda: Ridge(slice(half)), lambda: Ridge(slice(half, None)),
        ),
        "all features but another one": (
            lambda: Ridge(slice(1, None)), lambda: Ridge(slice(FEATURES - 1)),
        ),
    }  # fmt: skip
    for name, makers in rivals.items():
        for n in (40, 80, 300):
            rng = np.random.default_rng([n, len(name)])
            apart = 0
            for seed in range(simulations):
                x, y = make_data(n, 0.3, rng)
                rows = np.arange(n)
                weights = resample_weights(rows, RESAMPLES, rng)
                pair = []
                for make in makers:
                    predicted = cross_validate(make, x, y, grouped_folds(rows, 5, 3, seed)).predicted
                    tau = float(np.mean([kendall_tau(y, row) for row in predicted]))
                    taus = bootstrap_tau(y, predicted, rows, weights)
                    pair.append(Contender("", percentile_interval(tau, taus), taus))
                apart += tells_apart(difference(*pair))
            yield {"predictors": name, "n": n, "told apart": apart / simulations}


def ceiling_cases() -> Iterator[dict[str, Any]]:
    for n in (40, 80, 300):
        for noise in (0.02, 0.1, 0.3):
            yield {"n": n, "repeats": 5, "noise": noise, "noise varies": False, "repeated": 1.0}
    yield {"n": 80, "repeats": 5, "noise": 0.1, "noise varies": True, "repeated": 1.0}
    yield {"n": 80, "repeats": 2, "noise": 0.1, "noise varies": False, "repeated": 1.0}
    yield {"n": 40, "repeats": 3, "noise": 0.3, "noise varies": False, "repeated": 0.125}
    yield {"n": 40, "repeats": 3, "noise": 1.0, "noise varies": False, "repeated": 0.125}


def ceiling_quality(simulations: int) -> Iterator[dict[str, Any]]:
    """The truth is skewed (log-normal, scale 0.5); ``noise`` is relative to that scale, for one repeat."""
    for case in ceiling_cases():
        n, rng = case["n"], np.random.default_rng([case["n"], int(100 * case["noise"])])
        realised, ceilings = [], []
        for _ in range(simulations):
            truth = 0.5 * rng.normal(size=n)
            varying = np.exp(0.5 * rng.normal(size=n)) if case["noise varies"] else 1.0
            scale = 0.5 * case["noise"] * varying
            counts = np.where(np.arange(n) < case["repeated"] * n, case["repeats"], 1)
            scales = np.broadcast_to(scale, n)
            logs = [truth[i] + scales[i] * rng.normal(size=counts[i]) for i in range(n)]
            y = np.exp([np.median(each) for each in logs])
            ceiling = noise_ceiling(y, [np.exp(each) for each in logs], LATENCY, rng=rng, draws=200)[0]
            ceilings.append(ceiling.label_to_truth)
            realised.append(kendall_tau(y, truth))
        expected = float(np.mean(realised))
        pairs = list(zip(ceilings, realised, strict=True))
        yield {
            **case,
            "tau": expected,
            **covered(ceilings, expected),
            "covers these labels": float(np.mean([each.low <= tau <= each.high for each, tau in pairs])),
            "false leaks": float(np.mean([tau > each.high for each, tau in pairs])),
        }


SIMULATIONS: dict[str, Callable[[int], Iterator[dict[str, Any]]]] = {
    "tau": tau_coverage,
    "validated": validated_coverage,
    "paired": paired_errors,
    "ceiling": ceiling_quality,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=300)
    parser.add_argument("--only", choices=sorted(SIMULATIONS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, list[dict[str, Any]]] = {}
    for name in [options.only] if options.only else SIMULATIONS:
        results[name] = []
        for row in SIMULATIONS[name](options.simulations):
            results[name].append(row)
            shown = (f"{k}={v:.3f}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items())
            print(f"{name:10}", *shown, flush=True)
    if options.json:
        options.json.write_text(
            json.dumps({"simulations": options.simulations, "results": results}, indent=1)
        )


if __name__ == "__main__":
    main()
