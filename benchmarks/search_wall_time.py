"""Hypervolume at equal time of evolution with many evaluations and of Bayesian search, on fitted predictors.

    python benchmarks/search_wall_time.py --seconds 1 3 10 30 --seeds 2 --json wall_time.json

The predictors are those of ``search_speed.py``: the default one on the bundled instruction counts, and the
default one on made-up accuracies. Time is CPU time of the search with its evaluations, so that a busy machine
changes little. Hypervolume is relative to that of the best front found by all runs together.
"""

import argparse
import contextlib
import json
import os
import platform
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from search_speed import problem_of_default_predictors

from hytnas_host.search import list_strategies, run_search
from hytnas_host.search.objectives import to_minimised
from hytnas_host.search.pareto import choose_reference_point, hypervolume, hypervolume_history


class Spent(Exception):
    """The time is over."""


class Clock:
    """A progress bar that notes the CPU time after each batch, and ends the search when it is spent."""

    def __init__(self, limit_s):
        self.limit_s, self.start_s = limit_s, time.process_time()
        self.counts, self.seconds = [0], [0.0]

    def __call__(self, _description, _total, _done=0):
        """As of a bar's factory."""
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def advance(self, steps=1):
        """Note when so many more were evaluated."""
        self.counts.append(self.counts[-1] + steps)
        self.seconds.append(time.process_time() - self.start_s)
        if self.seconds[-1] > self.limit_s:
            raise Spent

    def note(self, _text):
        """Nothing is shown."""
        return


class Noting:
    """An evaluator that keeps the minimised values of what it was asked, in order."""

    def __init__(self, evaluator):
        self._evaluator, self.points = evaluator, []
        for name in ("objectives", "execution", "fingerprint", "cost_s", "extrapolates"):
            setattr(self, name, getattr(evaluator, name))

    def evaluate(self, architectures, /):
        """What the evaluator says."""
        found = self._evaluator.evaluate(architectures)
        self.points.append(to_minimised(found.values, self.objectives))
        return found


def run(parts, strategy, seed, limit_s):
    """Evaluations and hypervolume-ready points by time of one search."""
    space, evaluator, metrics, task = parts
    noting, clock = Noting(evaluator), Clock(limit_s)
    with contextlib.suppress(Spent):
        run_search(
            space,
            noting,
            task=task,
            strategy=strategy,
            seed=seed,
            evaluations=10**6,
            exact_metrics=metrics,
            progress=clock,
        )
    return np.vstack(noting.points), clock


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--strategies", nargs="+", default=["nsga2", "hyt", "random"], choices=list_strategies()
    )
    parser.add_argument("--seconds", type=float, nargs="+", default=[1.0, 3.0, 10.0, 30.0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    marks = sorted(arguments.seconds)

    parts = problem_of_default_predictors(np.random.default_rng(0))
    space, evaluator = parts[0], parts[1]
    sample = evaluator.evaluate(space.sample(1000, np.random.default_rng(12345))).values
    reference = choose_reference_point(to_minimised(sample, evaluator.objectives), margin=0.0)
    runs = {
        (strategy, seed): run(parts, strategy, seed, marks[-1])
        for strategy in arguments.strategies
        for seed in range(arguments.seeds)
    }
    best = hypervolume(np.vstack([points for points, _ in runs.values()]), reference)
    rows = []
    print(f"{'strategy':12}" + "".join(f"{f'{mark:g} s':>22}" for mark in marks))
    for strategy in arguments.strategies:
        counts, shares = [], []
        for seed in range(arguments.seeds):
            points, clock = runs[strategy, seed]
            done = [max(c for c, s in zip(clock.counts, clock.seconds, strict=True) if s <= m) for m in marks]
            counts.append(done)
            shares.append([hv / best for _, hv in hypervolume_history(points, done, reference)])
        mean, evaluations = np.mean(shares, axis=0), np.mean(counts, axis=0)
        cells = zip(mean, evaluations, strict=True)
        print(f"{strategy:12}" + "".join(f"{share:>10.4f} ({count:>7,.0f})" for share, count in cells))
        rows.append(
            {
                "strategy": strategy,
                "cpu_s": marks,
                "relative_hypervolume_mean": mean.tolist(),
                "relative_hypervolume": shares,
                "evaluations_mean": evaluations.tolist(),
            }
        )
    print("share of the best hypervolume (evaluations)")
    if arguments.json is not None:
        report = {
            "processor": platform.processor() or platform.machine(),
            "seeds": arguments.seeds,
            "reference_point": reference.tolist(),
            "results": rows,
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
