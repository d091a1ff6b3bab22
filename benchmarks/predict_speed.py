"""Seconds to encode and predict 100,000 architectures with the default predictor, on one core.

CPU seconds of one process with one thread: the first time, when no stage of a network is known yet, and
again. The peers in the same run are the same work columns counted layer by layer from each network's plan
(for 1,000 architectures, times 100), and scikit-learn's own Gaussian process, which gives mean and standard
deviation for the same number of training rows and the same table.

    python benchmarks/predict_speed.py [--space hyt] [--n 100000] [--labels 40] [--json FILE]
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from hytnas_datasets.bundled import load
from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import Task, build_plan, network_hash
from hytnas_datasets.spaces import get_space
from hytnas_datasets.targets import get_target
from hytnas_datasets.work import work_of
from hytnas_predictors.features import make_features
from hytnas_predictors.predictor import fit_predictor

FEW = 1000


def cpu_seconds(act: Callable[[], object]) -> float:
    """What a call costs this process."""
    before = time.process_time()
    act()
    return time.process_time() - before


def labels_of(name: str, n: int) -> LabelledSet:
    """``n`` labels: bundled ones of ``hyt``, made up from the multiply-accumulates in another space."""
    if name == "hyt":
        return load("hyt-icount-a53").take(range(n))
    space, task = get_space(name), Task()
    networks = tuple(space.sample(n, np.random.default_rng(1)))
    y = np.array([float(build_plan(network, task).macs) for network in networks])
    return LabelledSet(
        space=space,
        architectures=networks,
        plan_hashes=tuple(network_hash(network, task) for network in networks),
        y=y,
        repeats=tuple(y[i : i + 1] for i in range(n)),
        target=get_target("latency_ms"),
        context=LabelContext(task),
        provenance="made up",
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--space", default="hyt")
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=40)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    space, task = get_space(options.space), Task()
    architectures = space.sample(options.n, np.random.default_rng(0))
    # Fitted before anything is timed: its few networks know a part of the stages, as in use.
    predictor = fit_predictor(
        "layerwise", labels_of(options.space, options.labels), rng=np.random.default_rng(0)
    )
    figures = {
        "encode and predict, first": cpu_seconds(lambda: predictor.predict(architectures)),
        "encode and predict, again": cpu_seconds(lambda: predictor.predict(architectures)),
        "encode, again": cpu_seconds(lambda: make_features(space, architectures, task, ["work"])),
    }
    plain = cpu_seconds(lambda: [work_of(build_plan(each, task).layers) for each in architectures[:FEW]])
    figures["peer: columns plan by plan"] = plain * options.n / FEW
    x = np.log1p(make_features(space, architectures, task, ["work"]).x)
    kernel = ConstantKernel(1.0) * Matern(10.0, nu=2.5) + WhiteKernel(0.1)
    process = GaussianProcessRegressor(kernel, optimizer=None).fit(
        x[: options.labels], x[: options.labels, 0]
    )
    figures["peer: scikit-learn's process alone"] = cpu_seconds(lambda: process.predict(x, return_std=True))
    print(f"{options.n} architectures of {options.space}, fitted to {options.labels} labels")
    first = figures["encode and predict, first"]
    for name, seconds in figures.items():
        print(f"{name:<40}{seconds:>9.2f} s{seconds / first:>10.2f} x the first")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
