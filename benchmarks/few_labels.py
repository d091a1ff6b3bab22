"""How few labels a predictor needs, and whether it holds beyond them.

For each number of labels: fits the default to random samples of a data set, and tests on networks that are
left out (all splits), on the fastest tenth, and on the slowest tenth, which no sample then holds. Prints
Kendall's tau, the mean relative error, the share of labels inside the nominal 90 % interval, and the share
that is marked as extrapolated.

    python benchmarks/few_labels.py [--data bundled:hyt-icount-a53] [--predictor layerwise] [--json FILE]
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.bundled import set_folder
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.portable import read_set
from hytnas_predictors.leaderboard.validation import HALF_WIDTH
from hytnas_predictors.metrics import kendall_tau, mape
from hytnas_predictors.predictor import fit_predictor

SIZES = (10, 20, 40, 80, 200)
Rows = NDArray[np.int64]


def split_at_random(y: NDArray[np.float64], rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Half of the rows to draw samples from, and the others."""
    order = rng.permutation(len(y))
    return order[: len(y) // 2], order[len(y) // 2 :]


def split_edge(y: NDArray[np.float64], rng: np.random.Generator, *, fastest: bool) -> tuple[Rows, Rows]:
    """The rows but for the tenth at one edge, in random order, and that tenth."""
    order = np.argsort(y if fastest else -y)
    tenth = len(y) // 10
    return rng.permutation(order[tenth:]), order[:tenth]


SPLITS: dict[str, Callable[[NDArray[np.float64], np.random.Generator], tuple[Rows, Rows]]] = {
    "random": split_at_random,
    "fastest tenth left out": lambda y, rng: split_edge(y, rng, fastest=True),
    "slowest tenth left out": lambda y, rng: split_edge(y, rng, fastest=False),
}


def score(labelled: LabelledSet, name: str, train: Rows, test: Rows, seed: int) -> tuple[float, ...]:
    """Tau, mean relative error, share inside the interval, share extrapolated."""
    predictor = fit_predictor(name, labelled.take(train.tolist()), rng=np.random.default_rng(seed))
    found = predictor.predict([labelled.architectures[row] for row in test])
    y = labelled.y[test]
    inside = np.abs(y - found.mean) < HALF_WIDTH * found.std
    return (
        kendall_tau(y, found.mean),
        mape(y, found.mean),
        float(inside.mean()),
        float(found.extrapolated.mean()),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="bundled:hyt-icount-a53")
    parser.add_argument("--predictor", default="layerwise")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    labelled = read_set(set_folder(options.data))
    rows = []
    print(f"{options.predictor} on {options.data}, means of {options.samples} samples")
    print(f"{'split':<24}{'labels':>7}{'tau':>8}{'MAPE':>8}{'inside':>8}{'extrapolated':>14}")
    for split, make in SPLITS.items():
        for size in SIZES:
            found = []
            for seed in range(options.samples):
                pool, test = make(labelled.y, np.random.default_rng(seed))
                if len(pool) >= size:
                    found.append(score(labelled, options.predictor, pool[:size], test, seed))
            if found:
                tau, error, inside, flagged = np.mean(found, axis=0)
                rows.append([split, size, tau, error, inside, flagged])
                print(
                    f"{split:<24}{size:>7}{tau:>8.3f}{error:>8.1%}{inside:>8.0%}{flagged:>14.0%}", flush=True
                )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
