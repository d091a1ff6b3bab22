"""How long a search takes beside its evaluations: NSGA-II on predictors, an iteration of ``hyt``, memory.

    python benchmarks/search_speed.py --json after.json
    python benchmarks/search_speed.py --before before.json --json after.json

The latency predictor is the default one on the bundled instruction counts; the accuracy predictor is the
default one on 300 made-up labels, since no accuracies are bundled; parameters are counted. ``--before`` shows
the ratio to the figures of an earlier run on the same machine.
"""

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from hytnas_datasets.bundled import load
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan.build import identity
from hytnas_datasets.targets import ACCURACY, get_target
from hytnas_host.search import PredictorEvaluator, exact_metrics_of, make_strategy, run_search
from hytnas_host.search.problem import SearchProblem
from hytnas_predictors.predictor import fit_predictor
from hytnas_predictors.recipes import default_estimator


def made_up_accuracies(labels: LabelledSet, n: int, rng: np.random.Generator) -> LabelledSet:
    """Accuracies that saturate in the parameters and in weighted choices, with noise; no measurements."""
    space = labels.space
    architectures = space.sample(n, rng)
    metrics = exact_metrics_of(space, labels.context.task)
    choices = np.array([len(variable.choices) for variable in space.variables])
    weights = np.random.default_rng(7).dirichlet(np.ones(len(choices)))
    share = ((space.encode(architectures) + 1) / choices) ** 0.7 @ weights
    grown = 1 - np.exp(-metrics.values("params", architectures) / 1e5)
    accuracy = 0.6 + 0.3 * (1 - np.exp(-2 * share)) * grown + rng.normal(0, 0.005, n)
    return LabelledSet(
        architectures=tuple(architectures),
        y=accuracy,
        plan_hashes=tuple(identity(each, labels.context.task) for each in architectures),
        repeats=tuple(accuracy[:, None]),
        target=get_target(ACCURACY.name),
        space=space,
        context=labels.context,
        provenance="made up",
    )


def problem_of_default_predictors(rng: np.random.Generator):
    """Evaluator and task of the bundled latencies and made-up accuracies."""
    labels = load("hyt-icount-a53")
    sets = [labels, made_up_accuracies(labels, 300, rng)]
    predictors = {
        each.target.name: fit_predictor(default_estimator(each.target, each.space), each, rng=rng)
        for each in sets
    }
    task = labels.context.task
    metrics = exact_metrics_of(labels.space, task)
    return labels.space, PredictorEvaluator(predictors, metrics, execution="emulated"), metrics, task


def peak_rss_mib() -> float:
    """Peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def rss_mib() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def time_search(parts, evaluations: int, batch: int, extrapolated: str) -> dict[str, float]:
    """Wall and CPU seconds of an NSGA-II search with a checkpoint, and how much memory it came to hold."""
    space, evaluator, metrics, task = parts
    with tempfile.TemporaryDirectory() as folder:
        before, wall, cpu = rss_mib(), time.perf_counter(), time.process_time()
        result = run_search(
            space,
            evaluator,
            task=task,
            strategy="nsga2",
            evaluations=evaluations,
            initial=100,
            batch=batch,
            options={"population": 100},
            extrapolated=extrapolated,
            exact_metrics=metrics,
            checkpoint=Path(folder) / "checkpoint",
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert len(result.evaluated) == evaluations
    return {"wall_s": wall, "cpu_s": cpu, "grown_mib": rss_mib() - before}


def time_iteration(
    parts, told: int, batch: int, options: dict[str, object], repeats: int
) -> dict[str, float]:
    """Median wall and CPU seconds of one ask of ``batch`` after ``told`` evaluations."""
    space, evaluator, metrics, _ = parts
    problem = SearchProblem(space, evaluator.objectives, metrics)
    walls, cpus = [], []
    for seed in range(repeats):
        strategy = make_strategy("hyt", problem, np.random.default_rng(seed), initial=told, **options)
        known = strategy.ask(told)
        strategy.tell(known, evaluator.evaluate(known).values)
        wall, cpu = time.perf_counter(), time.process_time()
        assert len(strategy.ask(batch)) == batch
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return {"wall_s": float(np.median(walls)), "cpu_s": float(np.median(cpus))}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--evaluations", type=int, default=20_000)
    parser.add_argument("--batches", type=int, nargs="+", default=[100, 10], help="sizes of nsga2's batches")
    parser.add_argument("--told", type=int, default=500)
    parser.add_argument(
        "--repeats", type=int, default=5, help="iterations of hyt, the median of which counts"
    )
    parser.add_argument("--option", action="append", default=[], help="of hyt, e.g. members=3")
    parser.add_argument("--before", type=Path, default=None)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    options = {key: json.loads(value) for key, value in (text.split("=", 1) for text in arguments.option)}
    before = json.loads(arguments.before.read_text())["results"] if arguments.before is not None else {}

    parts = problem_of_default_predictors(np.random.default_rng(0))
    results: dict[str, dict[str, float]] = {}

    def note(name: str, found: dict[str, float]) -> None:
        results[name] = found
        earlier = before.get(name, {}).get("wall_s")
        ratio = f"{earlier / found['wall_s']:8.1f} x" if earlier else ""
        grown = f"{found['grown_mib']:8.1f} MiB" if "grown_mib" in found else " " * 12
        print(f"{name:50}{found['wall_s']:9.2f} s{found['cpu_s']:9.2f} s CPU{grown}{ratio}", flush=True)

    note(f"hyt: ask for 50 after {arguments.told}", time_iteration(
        parts, arguments.told, 50, options, arguments.repeats
    ))  # fmt: skip
    for batch in arguments.batches:
        for extrapolated in ("allow", "avoid"):
            for evaluations in (arguments.evaluations // 2, arguments.evaluations):
                name = f"nsga2: {evaluations} evaluations by {batch}, {extrapolated}"
                note(name, time_search(parts, evaluations, batch, extrapolated))
    print(f"peak memory {peak_rss_mib():.0f} MiB")
    if arguments.json is not None:
        report = {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "options": options,
            "results": results,
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
