"""Seconds to export one network to ONNX, by stage, and what the graph optimiser of onnxscript would add.

Run: python benchmarks/export.py [--n 12] [--resolution 224] [--json export.json]
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxscript.optimizer
import torch

from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import get_space
from hytnas_host.export import ExportPool, export_onnx


def optimise(path: Path) -> tuple[float, int]:
    """Seconds onnxscript's optimiser takes for a finished file, and the nodes it leaves."""
    model = onnx.load(path)
    start = time.perf_counter()
    optimised = onnxscript.optimizer.optimize(model)
    return time.perf_counter() - start, len(optimised.graph.node)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=12)
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    space, task = get_space("hyt"), Task(resolution=arguments.resolution)
    plans = [build_plan(a, task) for a in space.sample(arguments.n + 1, np.random.default_rng(0))]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_onnx(plans[-1], folder, seed=0)  # imports and first-use set-up are not a model's cost
        for plan in plans[:-1]:
            exported = export_onnx(plan, folder, seed=0)
            seconds, nodes = optimise(exported.path)
            row = {
                "params": plan.params,
                "mmacs": plan.macs / 1e6,
                "nodes": len(onnx.load(exported.path).graph.node),
            }
            row |= {**exported.stage_seconds, "total": exported.seconds}
            rows.append(row | {"onnxscript_s": seconds, "onnxscript_nodes": nodes})
        start = time.perf_counter()
        with ExportPool(2) as pool:
            for future in [pool.submit(plan, folder, seed=1) for plan in plans[:-1]]:
                future.result()
        pool_s = time.perf_counter() - start
    print(f"{'':<18}{'median':>13}{'min':>13}{'max':>13}")
    for key in rows[0]:
        values = [row[key] for row in rows]
        print(f"{key:<18}{np.median(values):13.3f}{min(values):13.3f}{max(values):13.3f}")
    print(f"pool of 2: {pool_s / arguments.n:.2f} s a model, start of the processes included")
    if arguments.json:
        arguments.json.write_text(json.dumps({"models": rows, "pool_s": pool_s}, indent=1))


if __name__ == "__main__":
    main()
