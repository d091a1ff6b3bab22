"""Why `layerwise` is built as it is: variants of its parts, each with all others as shipped.

Fits to samples of the bundled instruction counts and tests on 230 other networks. Prints Kendall's tau and
the mean relative error; for the last part, also how often the nominal 90 % interval holds.

    python benchmarks/layerwise_variants.py [--samples 12] [--only TEXT] [--json FILE]
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.bundled import load
from hytnas_datasets.work import KIND_COLUMNS, QUANTITIES, WORK_KINDS
from hytnas_predictors.estimators import make_estimator
from hytnas_predictors.estimators.gaussian_process import fit_process
from hytnas_predictors.estimators.layer_costs import fit_costs, fit_layer_costs, left_out_residuals
from hytnas_predictors.features import make_features
from hytnas_predictors.leaderboard.validation import HALF_WIDTH
from hytnas_predictors.metrics import kendall_tau, mape

Floats = NDArray[np.float64]
SIZES = (10, 20, 40, 80)
TEST_FROM = 200
RIDGE = 0.03
Variant = Callable[[Floats, Floats, Floats, np.random.Generator], tuple[Floats, Floats | None]]


def with_bytes(work: Floats) -> Floats:
    """The columns one thinks of first: multiply-accumulates, elements moved in all, and kernels, by kind."""
    columns = []
    for kind in WORK_KINDS:
        of_kind = dict(zip(QUANTITIES[kind], work[:, KIND_COLUMNS[kind]].T, strict=True))
        moved = [of_kind[name] for name in ("read", "written", "weights") if name in of_kind]
        columns += [of_kind.get("macs", 0 * work[:, 0]), np.sum(moved, axis=0), of_kind["count"]]
    return np.column_stack(columns)


def with_intercept(work: Floats) -> Floats:
    """A cost of an inference besides those of its operators."""
    return np.column_stack([work, np.ones(len(work))])


def plain_sum(change: Callable[[Floats], Floats], ridge: float) -> Variant:
    """The sum alone, of changed columns or with another ridge."""

    def predict(work: Floats, y: Floats, new: Floats, rng: np.random.Generator) -> tuple[Floats, None]:
        del rng
        return np.log(np.maximum(change(new) @ fit_costs(change(work), y, ridge=ridge), 1e-9)), None

    return predict


def process(*, left_out: bool, unlike: bool) -> Variant:
    """The sum and a process on its residuals, those of the fit or of left-out rows.

    ``unlike`` adds the spread of the sum itself, where it is larger than on the training rows.
    """

    def predict(work: Floats, y: Floats, new: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
        costs = fit_layer_costs(work, y, ridge=RIDGE, resamples=30, rng=rng)
        residuals = (
            left_out_residuals(work, y, ridge=RIDGE, folds=10, rng=rng)
            if left_out
            else np.log(y) - costs.log_sum(work)
        )
        mean, std = fit_process(np.log1p(work), residuals, rng=rng).predict(np.log1p(new))
        more = np.maximum(costs.log_variance(new) - costs.log_variance(work).mean(), 0.0) if unlike else 0.0
        return costs.log_sum(new) + mean, np.sqrt(std**2 + more)

    return predict


def boosted(name: str) -> Variant:
    """Boosted trees on the left-out residuals of the sum, in place of the process."""

    def predict(work: Floats, y: Floats, new: Floats, rng: np.random.Generator) -> tuple[Floats, None]:
        costs = fit_layer_costs(work, y, ridge=RIDGE, resamples=1, rng=rng)
        residuals = left_out_residuals(work, y, ridge=RIDGE, folds=10, rng=rng)
        trees = make_estimator(name).fit(np.log1p(work), residuals, rng=rng)
        return costs.log_sum(new) + trees.predict(np.log1p(new)), None

    return predict


def variants() -> Iterator[tuple[str, Variant]]:
    """All of them by name; the shipped choice of each part has a star."""
    yield "sum: macs, elements moved, kernels", plain_sum(with_bytes, RIDGE)
    yield "sum: read, written and weights apart *", plain_sum(np.asarray, RIDGE)
    yield "sum: with an intercept", plain_sum(with_intercept, RIDGE)
    for ridge in (0.0, 0.01, 0.1, 0.3):
        yield f"sum: ridge {ridge}", plain_sum(np.asarray, ridge)
    yield "process on residuals of the fit", process(left_out=False, unlike=True)
    yield "process on left-out residuals *", process(left_out=True, unlike=True)
    yield "the same without the sum's spread", process(left_out=True, unlike=False)
    for name in ("xgboost", "lightgbm"):
        yield f"{name} on left-out residuals", boosted(name)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=12)
    parser.add_argument("--only", default="", help="variants whose name holds this text; all without")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    labels = load("hyt-icount-a53")
    work = make_features(labels.space, labels.architectures, labels.context.task, ["work"]).x
    y, rows = labels.y, []
    print(f"{'variant':<40}" + "".join(f"{f'{size} labels':>22}" for size in SIZES))
    for name, predict in variants():
        if options.only not in name:
            continue
        cells = []
        for size in SIZES:
            found = []
            for sample in range(options.samples):
                rng = np.random.default_rng(sample)
                order = rng.permutation(len(y))
                train, test = order[:size], order[TEST_FROM:]
                logs, std = predict(work[train], y[train], work[test], rng)
                inside = np.nan if std is None else np.mean(np.abs(np.log(y[test]) - logs) < HALF_WIDTH * std)
                found.append((kendall_tau(y[test], logs), mape(y[test], np.exp(logs)), inside))
            tau, error, inside = np.mean(found, axis=0)
            rows.append([name, size, tau, error, inside])
            covered = "" if np.isnan(inside) else f"{inside:>6.0%}"
            cells.append(f"{tau:>9.3f}{error:>7.1%}{covered:>6}")
        print(f"{name:<40}" + "".join(cells), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
