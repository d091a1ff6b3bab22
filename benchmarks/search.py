"""Hypervolume against evaluations of the search strategies, over several seeds, at equal evaluations.

    python benchmarks/search.py --seeds 5 --evaluations 200 --json search.json

The problem is analytic, so that it needs no device: on the space ``hyt``, latency is a known function of the
layer plan's MACs and activations, and accuracy a saturating function of parameters and of weighted choices.
These are not measurements. Hypervolume is relative to that of the best front found by all runs together.
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import get_space
from hytnas_host.search import CallableEvaluator, PlanMetrics, get_objective, list_strategies, run_search
from hytnas_host.search.objectives import to_minimised
from hytnas_host.search.pareto import choose_reference_point, hypervolume, hypervolume_history
from hytnas_host.search.result import SearchResult


def analytic_problem(space_name, exact_metrics, names):
    """Latency in ms from MACs and activations, accuracy from parameters and weighted choices."""
    space = get_space(space_name)
    choices = np.array([len(variable.choices) for variable in space.variables])
    weights = np.random.default_rng(7).exponential(size=len(choices))
    weights /= weights.sum()
    known = ("latency_ms", "accuracy", "params")
    columns = [known.index(name) for name in names]

    def values(architectures):
        params = exact_metrics.values("params", architectures)
        latency = (
            exact_metrics.values("macs", architectures) / 2e7
            + exact_metrics.values("activations", architectures) / 1e6
        )
        share = ((space.encode(architectures) + 1) / choices) ** 0.7 @ weights
        accuracy = 0.6 + 0.3 * (1 - np.exp(-2 * share)) * (1 - np.exp(-params / 1e5))
        return np.column_stack([latency, accuracy, params])[:, columns]

    objectives = [get_objective(name, source="analytic") for name in names]
    return space, CallableEvaluator(
        objectives, values, fingerprint=f"analytic {names}", execution="simulated"
    )


def minimised(result: SearchResult):
    """(n, m) minimised values in the order of evaluation."""
    return to_minimised(np.array([row.values for row in result.evaluated]), result.objectives)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--strategies", nargs="+", default=list(list_strategies()), choices=list(list_strategies())
    )
    parser.add_argument("--objectives", nargs="+", default=["latency_ms", "accuracy", "params"])
    parser.add_argument("--constraint", action="append", default=[])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--option", action="append", default=[], help="of hyt, e.g. kappa=0.5")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    options = {key: json.loads(value) for key, value in (text.split("=", 1) for text in arguments.option)}

    task = Task(resolution=224, classes=2)
    exact_metrics = PlanMetrics(task)
    space, evaluator = analytic_problem("hyt", exact_metrics, tuple(arguments.objectives))
    sample = evaluator.evaluate(space.sample(1000, np.random.default_rng(12345))).values
    reference = choose_reference_point(to_minimised(sample, evaluator.objectives), margin=0.0)
    counts = [c for c in (30, 50, 100, 150, 200, 300, 500) if c <= arguments.evaluations]
    runs = {}
    for strategy in arguments.strategies:
        for seed in range(arguments.seeds):
            started = time.process_time()
            result = run_search(
                space,
                evaluator,
                task=task,
                strategy=strategy,
                constraints=arguments.constraint,
                evaluations=arguments.evaluations,
                batch=arguments.batch,
                seed=seed,
                options=options if strategy == "hyt" else {},
                reference_point=to_minimised(reference[None, :], evaluator.objectives)[0].tolist(),
                exact_metrics=exact_metrics,
            )
            runs[strategy, seed] = (minimised(result), time.process_time() - started)
    best = hypervolume(np.vstack([points for points, _ in runs.values()]), reference)
    rows = []
    for strategy in arguments.strategies:
        own = [runs[strategy, seed] for seed in range(arguments.seeds)]
        history = (
            np.array([[hv for _, hv in hypervolume_history(p, counts, reference)] for p, _ in own]) / best
        )
        rows.append(
            {
                "strategy": strategy,
                "evaluations": counts,
                "relative_hypervolume_mean": history.mean(axis=0).tolist(),
                "relative_hypervolume_std": history.std(axis=0, ddof=min(1, len(own) - 1)).tolist(),
                "cpu_s_mean": float(np.mean([seconds for _, seconds in own])),
            }
        )
    print(f"{'strategy':10}" + "".join(f"{count:>16}" for count in counts) + f"{'CPU s':>10}")
    for row in rows:
        cells = zip(row["relative_hypervolume_mean"], row["relative_hypervolume_std"], strict=True)
        print(
            f"{row['strategy']:10}"
            + "".join(f"{m:>9.4f}+-{s:.3f}" for m, s in cells)
            + f"{row['cpu_s_mean']:>10.1f}"
        )
    if arguments.json is not None:
        report = {
            "problem": "analytic on hyt at 224x224",
            "objectives": arguments.objectives,
            "constraints": arguments.constraint,
            "options": options,
            "seeds": arguments.seeds,
            "batch": arguments.batch,
            "reference_point": reference.tolist(),
            "processor": platform.processor() or platform.machine(),
            "results": rows,
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
