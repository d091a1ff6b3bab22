"""How many labels of a device a predictor of another device is worth.

For each pair of a source and a target: tau, mean relative error and the share of labels inside the nominal
90 % interval, on networks of the target that nobody was fitted to.

- ``transfer``: networks chosen by `choose_networks`, fitted with the source's predictor as prior, which is
  what ``hytnas-profile transfer`` does; ``random``: the same with random networks.
- ``ratio process``: a Gaussian process on the log ratio of the labels to the prior. ``ridge to costs``: costs
  of layers shrunk to the prior's times one factor, and a process on what is left. Both for the chosen
  networks; they are simpler, and what ``transfer`` was chosen over.
- ``alone``: the default predictor, fitted to random networks of the target.
- ``none``: the prior itself. It knows no label, so it has a tau and no error.

The made-up devices do not exist: the costs that a predictor found on the source, each kind of work dearer or
cheaper by a random factor, to a power, with 2 % noise. The source is the bundled instruction counts. The
published latencies are native ones of a Raspberry Pi 3B, and another space; they are read from
``HYTNAS_REFERENCE_DATA`` or ``../shared/reference``, where that is there. ``--study`` takes latencies of
your own.

    python benchmarks/transfer.py [--samples 8] [--study FOLDER] [--json FILE]
"""

import argparse
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from predictors_released import read_labels
from scipy.optimize import nnls

from hytnas_datasets.bundled import load
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import network_hash
from hytnas_datasets.spaces import Architecture
from hytnas_datasets.store import Study
from hytnas_datasets.work import WORK_COLUMNS
from hytnas_predictors.design import choose_networks
from hytnas_predictors.estimators.gaussian_process import fit_process
from hytnas_predictors.features import make_features
from hytnas_predictors.leaderboard.validation import HALF_WIDTH
from hytnas_predictors.metrics import kendall_tau, mape
from hytnas_predictors.predictor import Predictor, fit_predictor
from hytnas_predictors.transfer import transfer_predictor

Floats = NDArray[np.float64]
FEW = (10, 20)
ALONE = (10, 20, 30, 60)
POOL, TEST = 600, 400
RIDGE = 1.0


@dataclass(frozen=True)
class Split:
    """Labels to be had, and labels to be tested on."""

    pool: LabelledSet
    test: LabelledSet


def work_of(labelled: LabelledSet) -> Floats:
    """(n, c) work columns."""
    return make_features(labelled.space, labelled.architectures, labelled.context.task, ("work",)).x


def split_rows(labelled: LabelledSet, seed: int) -> Split:
    """Random rows of a set that is there: 600 and 400, or of a small set all but a third, and the third."""
    order = np.random.default_rng(seed).permutation(len(labelled)).tolist()
    test = min(TEST, max(len(labelled) // 3, 1))
    return Split(labelled.take(order[test : test + POOL]), labelled.take(order[:test]))


def make_up(source: LabelledSet, prior: Predictor, kind_sd: float, power: float, seed: int) -> Split:
    """New networks of the source's space on a device that does not exist; tested without noise."""
    rng = np.random.default_rng([seed, round(100 * kind_sd)])
    kinds = [name.split()[0] for name in WORK_COLUMNS]
    dearer = {kind: np.exp(kind_sd * rng.normal()) for kind in dict.fromkeys(kinds)}
    costs = prior.estimator.unit_costs()[0] * [dearer[kind] for kind in kinds]

    def measure(architectures: Sequence[Architecture], noise: float) -> LabelledSet:
        task = source.context.task
        hashes = tuple(network_hash(each, task) for each in architectures)
        new = replace(source, architectures=tuple(architectures), plan_hashes=hashes, quality_flags=())
        y = (work_of(new) @ costs) ** power * np.exp(noise * rng.normal(size=len(new)))
        return replace(new, y=y, repeats=tuple(y[:, None]), provenance="made up")

    networks = source.space.sample(POOL + TEST, rng)
    return Split(measure(networks[:POOL], 0.02), measure(networks[POOL:], 0.0))


def choose(pool: LabelledSet, n: int, rng: np.random.Generator) -> LabelledSet:
    """The labels of the networks that the toolkit would measure."""
    place = {architecture: row for row, architecture in enumerate(pool.architectures)}
    task = pool.context.task
    chosen = choose_networks(pool.space, task, n, rng, candidates=pool.architectures)
    return pool.take([place[architecture] for architecture in chosen])


def ratio_process(prior: Predictor, few: LabelledSet, test: LabelledSet) -> tuple[Floats, Floats]:
    """Mean and standard deviation of log labels."""
    x, new = work_of(few), work_of(test)
    left = np.log(few.y) - prior.estimator.predict(x)
    mean, std = fit_process(np.log1p(x), left, rng=np.random.default_rng(0)).predict(np.log1p(new))
    return prior.estimator.predict(new) + mean, std


def ridge_to_costs(prior: Predictor, few: LabelledSet, test: LabelledSet) -> tuple[Floats, Floats]:
    """Mean and standard deviation of log labels."""
    x, new, costs = work_of(few), work_of(test), prior.estimator.unit_costs()[0]

    def fit(rows: NDArray[np.int64]) -> Floats:
        wanted = costs * np.exp(np.mean(np.log(few.y[rows] / (x[rows] @ costs))))
        shares = x[rows] / few.y[rows, None]
        scale = np.sqrt(np.mean(shares**2, axis=0))
        used = scale > 0
        matrix = np.vstack([shares[:, used] / scale[used], RIDGE * np.eye(int(used.sum()))])
        right = np.concatenate([np.ones(len(rows)), RIDGE * (wanted * scale)[used]])
        found = wanted.copy()
        found[used] = nnls(matrix, right, maxiter=10_000)[0] / scale[used]
        return found

    everything = np.arange(len(x))
    left = [np.log(few.y[i] / (x[i] @ fit(everything[everything != i]))) for i in everything]
    process = fit_process(np.log1p(x), np.array(left), rng=np.random.default_rng(0))
    mean, std = process.predict(np.log1p(new))
    return np.log(new @ fit(everything)) + mean, std


def ways(split: Split, prior: Predictor, seed: int) -> Iterator[tuple[str, int, Floats, Floats]]:
    """Name, labels, mean and standard deviation of the logarithms of the test labels."""

    def predict(fitted: Predictor) -> tuple[Floats, Floats]:
        return fitted.estimator.predict_with_std(work_of(split.test))

    rng = np.random.default_rng(seed)
    yield ("none", 0, *predict(prior))
    for n in FEW:
        if n <= len(split.pool):
            few = choose(split.pool, n, rng)
            yield ("transfer", n, *predict(transfer_predictor(prior, few, rng=rng)))
            yield ("random", n, *predict(transfer_predictor(prior, split.pool.take(range(n)), rng=rng)))
            yield ("ratio process", n, *ratio_process(prior, few, split.test))
            yield ("ridge to costs", n, *ridge_to_costs(prior, few, split.test))
    for n in ALONE:
        if n <= len(split.pool):
            yield ("alone", n, *predict(fit_predictor("layerwise", split.pool.take(range(n)), rng=rng)))


def compare(
    name: str, make: Callable[[int], Split], prior: Predictor, samples: int, results: list[dict[str, Any]]
) -> None:
    """Print the table of one pair, and put its rows into ``results``."""
    found: dict[tuple[str, int], list[tuple[float, ...]]] = {}
    for seed in range(samples):
        split = make(seed)
        for way, n, mean, std in ways(split, prior, seed):
            y = split.test.y
            inside = np.mean(np.abs(np.log(y) - mean) < HALF_WIDTH * std)
            scored = (kendall_tau(y, mean), mape(y, np.exp(mean)), float(inside))
            found.setdefault((way, n), []).append(scored)
    print(f"\n{name}: {len(split.test)} test labels, means of {samples} samples")
    print(f"{'':<16}{'labels':>7}{'tau':>8}{'MAPE':>8}{'inside':>8}")
    for (way, n), scores in found.items():
        tau, error, inside = np.mean(scores, axis=0)
        shown = f"{error:>8.1%}{inside:>8.0%}" if n else f"{'':>16}"
        print(f"{way:<16}{n:>7}{tau:>8.3f}{shown}", flush=True)
        row = {"pair": name, "way": way, "labels": n, "tau": tau, "mape": error, "inside": inside}
        results.append(row if n else row | {"mape": None, "inside": None})


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--study", type=Path, help="a study with latencies of one device")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    counted = load("hyt-icount-a53")
    prior = fit_predictor("layerwise", counted, rng=np.random.default_rng(0))
    results: list[dict[str, Any]] = []
    for words, kind_sd, power in (("alike", 0.2, 1.0), ("other", 0.5, 0.9), ("very other", 0.8, 0.7)):
        compare(
            f"instruction counts to a made-up device, {words}",
            lambda seed, sd=kind_sd, power=power: make_up(counted, prior, sd, power, seed),
            prior,
            options.samples,
            results,
        )
    folder = Path(os.environ.get("HYTNAS_REFERENCE_DATA", "../shared/reference")) / "hytnas_released"
    if folder.is_dir():
        published = read_labels(folder)["latency_ms"]
        there = "instruction counts to the published latencies"
        compare(there, lambda seed: split_rows(published, seed), prior, options.samples, results)
        back = fit_predictor("layerwise", published, rng=np.random.default_rng(0))
        again = "the published latencies to instruction counts"
        compare(again, lambda seed: split_rows(counted, seed), back, options.samples, results)
    if options.study:
        with Study.open(options.study, create=False) as study:
            own = study.labelled("latency_ms", space=counted.space)
        name = f"instruction counts to {own.provenance}"
        compare(name, lambda seed: split_rows(own, seed), prior, options.samples, results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
