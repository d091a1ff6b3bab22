"""Pareto points that each strategy finds of the tabular benchmark hpo_nmt, against evaluations.

    python benchmarks/search_nmt.py --seeds 20 --json nmt.json
    python benchmarks/search_nmt.py --strategies hyt-plus --option kappa=0.5 --seeds 3
    python benchmarks/search_nmt.py --study --seeds 5

The table holds translation models of 767 (sw-en) configurations with their BLEU (maximised) and GPU time
(minimised); 14 of them are Pareto-optimal. Only its rows are evaluated: what another strategy proposes is the
nearest row that was not. For one seed all strategies begin with the same Latin hypercube. ``--study``
compares surrogates, acquisitions and selections. The data are read from ``HYTNAS_REFERENCE_DATA`` or
``../shared/reference``. [Zhang2020] X. Zhang, K. Duh, "Reproducible and Efficient Benchmarks for
Hyperparameter Optimization of Neural Machine Translation Systems", TACL 8, 2020.
"""

import argparse
import itertools
import json
import os
import platform
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import Space, Variable
from hytnas_host.search import TableEvaluator, exact_metrics_of, get_objective, list_strategies, run_search
from hytnas_host.search.objectives import to_minimised
from hytnas_host.search.options import parse_options
from hytnas_host.search.pareto import non_dominated

NAMES = ("bpe", "layers", "embedding", "hidden", "heads", "learning_rate")
PUBLISHED = {"hyt": 13.7, "nsga2": 6.06, "cmaes": 5.45, "mobo-gp": 5.4, "random": 3.68}
"""Of 14, as the slides of the study give them."""


def read_table(pair: str):
    """Space, architectures and (n, 2) BLEU and GPU time of one language pair."""
    folder = Path(os.environ.get("HYTNAS_REFERENCE_DATA", "../shared/reference")) / "hpo_nmt"
    if not folder.exists():
        sys.exit(f"There is no {folder}. Set HYTNAS_REFERENCE_DATA to the folder of the reference data.")
    rows = np.loadtxt(folder / f"{pair}.hyps")
    values = np.loadtxt(folder / f"{pair}.evals")[:, :2]
    variables = tuple(
        Variable(name, tuple(np.unique(column).tolist())) for name, column in zip(NAMES, rows.T, strict=True)
    )
    space = Space(f"nmt-{pair}", variables, family="none")
    architectures = [space.from_values(dict(zip(NAMES, row.tolist(), strict=True))) for row in rows]
    return space, architectures, values


def count_found(problem, strategy: str, options: dict, seed: int, arguments) -> tuple[list[int], float]:
    """How many Pareto points were evaluated at each count, and the CPU seconds that it took."""
    space, architectures, values = problem
    objectives = (get_objective("accuracy"), get_objective("latency_ms"))  # maximised and minimised
    metrics = exact_metrics_of(space, Task())
    evaluator = TableEvaluator.of_labels(objectives, architectures, values, metrics)
    best = non_dominated(to_minimised(values, objectives))
    wanted = {space.format(each) for each, kept in zip(architectures, best, strict=True) if kept}
    started = time.process_time()
    result = run_search(
        space,
        evaluator,
        task=Task(),
        strategy=strategy,
        seed=seed,
        evaluations=max(arguments.counts),
        initial=arguments.initial,
        batch=arguments.batch,
        options={"design": "lhs", **options},
        exact_metrics=metrics,
        candidates=architectures,
    )
    found = [row.architecture in wanted for row in result.evaluated]
    return [sum(found[:count]) for count in arguments.counts], time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = ["random", "cmaes", "nsga2", "mobo-gp", "hyt", "hyt-plus"]
    parser.add_argument("--strategies", nargs="+", default=known, choices=list_strategies())
    parser.add_argument("--pair", default="sw-en", choices=["sw-en", "en-ja", "zh-en"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 150, 200, 250])
    parser.add_argument("--initial", type=int, default=30)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument(
        "--option", action="append", default=[], help="of a Bayesian strategy, e.g. kappa=0.5"
    )
    parser.add_argument("--study", action="store_true", help="compare what hyt is made of")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    given = parse_options(arguments.option)

    problem = read_table(arguments.pair)
    if arguments.study:
        surrogates = ("xgboost-set", "xgboost-ranker", "mlp1", "mlp2", "gp")
        parts = itertools.product(surrogates, ("ucb", "ei", "pi", "mean"), ("hypervolume", "random"))
        entries = [
            (f"{s} {a} {c}", "hyt", {"surrogate": s, "acquisition": a, "selection": c}) for s, a, c in parts
        ]
    else:
        learning = {"hyt", "hyt-plus", "mobo-gp"}
        entries = [(name, name, given if name in learning else {}) for name in arguments.strategies]
    total = int(non_dominated(problem[2] * [-1, 1]).sum())
    print(
        f"Pareto points found of {total}, {arguments.pair}, {arguments.seeds} seeds, mean +- standard error"
    )
    header = "".join(f"{count:>16}" for count in arguments.counts)
    print(f"{'':40}{header}{'slides':>10}{'CPU s':>8}")
    rows = []
    for label, strategy, options in entries:
        runs = [count_found(problem, strategy, options, seed, arguments) for seed in range(arguments.seeds)]
        found = np.array([counts for counts, _ in runs], dtype=float)
        error = found.std(axis=0, ddof=min(1, len(found) - 1)) / len(found) ** 0.5
        seconds = float(np.mean([spent for _, spent in runs]))
        cells = "".join(f"{m:>9.2f} +- {e:.2f}" for m, e in zip(found.mean(axis=0), error, strict=True))
        published = PUBLISHED.get(label, "") if arguments.pair == "sw-en" else ""
        print(f"{label:40}{cells}{published:>10}{seconds:>8.1f}", flush=True)
        rows.append(
            {
                "label": label,
                "strategy": strategy,
                "options": options,
                "evaluations": arguments.counts,
                "found": found.astype(int).tolist(),
                "cpu_s_mean": seconds,
            }
        )
    if arguments.json is not None:
        report = {
            "pair": arguments.pair,
            "pareto_points": total,
            "initial": arguments.initial,
            "batch": arguments.batch,
            "processor": platform.processor() or platform.machine(),
            "results": rows,
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
