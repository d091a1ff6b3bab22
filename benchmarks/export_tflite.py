"""Seconds and memory to export one network to TFLite with litert-torch, beside ONNX in the same run.

Every export runs in a fresh process, the two formats in turn. ``export`` is the export itself, imports left
out; ``process`` is the whole process, as the first export of a worker of a collection.

Run, where the extra litert-export is installed:
.venv-litert/bin/python benchmarks/export_tflite.py [--n 5] [--resolution 224] [--precision int8] [--json f]
"""

import argparse
import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import get_space
from hytnas_host.export import ExportTarget, export_model

UNITS = {
    "convert_s": "s",
    "export_s": "s",
    "process_s": "s",
    "cpu_s": "s",
    "peak_mib": "MiB",
    "file_kib": "KiB",
}


def export_one(architecture: str, resolution: int, model_format: str, precision: str) -> dict[str, float]:
    """Export in this process; what it took."""
    target = ExportTarget(model_format, precision)
    plan = build_plan(get_space("hyt").parse(architecture), Task(resolution=resolution))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        if model_format == "tflite":
            importlib.import_module("litert_torch")  # an import is not a model's cost
        imported_s = time.perf_counter() - began
        exported = export_model(plan, Path(folder), seed=0, target=target)
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "import_s": imported_s,
        "convert_s": exported.stage_seconds["convert"],
        "export_s": exported.seconds,
        "cpu_s": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "peak_mib": own.ru_maxrss / 1024,
        "file_kib": exported.size_bytes / 1024,
        "relative_error": exported.parity_error / exported.output_spread,
    }


def in_a_process(architecture: str, resolution: int, model_format: str, precision: str) -> dict[str, float]:
    """The same in a fresh process, with the seconds of all of it."""
    command = [sys.executable, __file__, "--one", architecture, "--resolution", str(resolution)]
    command += ["--format", model_format, "--precision", precision]
    began = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found | {"process_s": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=5)
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--precision", choices=("fp32", "int8"), default="fp32", help="of the TFLite files")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--format", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(export_one(given.one, given.resolution, given.format, given.precision)))
        return
    space = get_space("hyt")
    rows = []
    for architecture in space.sample(given.n, np.random.default_rng(0)):
        name = space.format(architecture)
        onnx = in_a_process(name, given.resolution, "onnx", "fp32")
        tflite = in_a_process(name, given.resolution, "tflite", given.precision)
        rows.append({"architecture": name, "onnx": onnx, "tflite": tflite})
    print(f"{given.n} networks of hyt at {given.resolution}x{given.resolution}, TFLite {given.precision}")
    print(f"{'median (min-max)':<18}{'ONNX':>24}{'TFLite':>24}{'TFLite/ONNX':>24}")
    for key, unit in UNITS.items():
        columns = [[row[name][key] for row in rows] for name in ("onnx", "tflite")]
        ratios = [b / a for a, b in zip(*columns, strict=True)]
        cells = [f"{np.median(c):.1f} ({min(c):.1f}-{max(c):.1f})" for c in (*columns, ratios)]
        print(f"{key.rpartition('_')[0] + ', ' + unit:<18}{cells[0]:>24}{cells[1]:>24}{cells[2]:>24}")
    worst = [max(row[name]["relative_error"] for row in rows) for name in ("onnx", "tflite")]
    print(f"largest error, in spreads of the outputs: ONNX {worst[0]:.1e}, TFLite {worst[1]:.1e}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
