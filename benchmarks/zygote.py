"""Does a process forked from a pre-imported one scatter as a freshly executed one does?

Forking a *zygote* that has imported numpy and the runtime saves a start of Python for each process, but its
children share one address layout. Blocks of measurements, each with a zygote of its own; within a block, the
same network is measured in fresh processes and in forked ones, in turn and in random order, so that the
machine's mood hits both alike. On the logarithms of the process medians:

- ``variance ratio``: forked over executed, within blocks (a label's processes would all come from one
  zygote); below 1 the fork hides variance, and intervals made of it are too narrow;
- ``between zygotes``: what one zygote's children have in common and the next one's have not, as a standard
  deviation beyond what the executed processes of the same blocks show.

Intervals are a bootstrap over blocks. A zygote is the same where the interval of the ratio lies within 0.8 to
1.25. The last line says how busy the machine was.

    python benchmarks/zygote.py [--blocks 10] [--rounds 8] [--resolution 64] [--json FILE]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from one_model import load_average

from hytnas_datasets.plan import Task, build_plan
from hytnas_host.collect.canary import canary_architecture
from hytnas_host.devices.quiet import quiet_machine
from hytnas_host.export import export_onnx

SAME = (0.8, 1.25)
RESAMPLES = 4000

WORKER = """
import json, os, sys, time
import numpy as np
import onnxruntime as ort

def measure(model, core):
    os.sched_setaffinity(0, {core})
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feed = {i.name: rng.standard_normal(i.shape, dtype=np.float32) for i in session.get_inputs()}
    samples, begin = [], time.perf_counter()
    while len(samples) < 30 or time.perf_counter() - begin < 0.5:
        start = time.perf_counter_ns()
        session.run(None, feed)
        samples.append((time.perf_counter_ns() - start) / 1e6)
    return float(np.median(samples[10:]))

model, core, forks = sys.argv[1], int(sys.argv[2]), len(sys.argv) > 3
if not forks:
    print(measure(model, core))
else:
    for line in sys.stdin:
        read, write = os.pipe()
        if os.fork() == 0:
            os.write(write, json.dumps(measure(model, core)).encode())
            os._exit(0)
        os.close(write)
        answer = os.read(read, 100).decode()
        os.close(read)
        os.wait()
        print(answer, flush=True)
"""


class Zygote:
    """A Python that has imported the runtime and forks a child for each measurement."""

    def __init__(self, model: Path, core: int) -> None:
        command = [sys.executable, "-c", WORKER, str(model), str(core), "fork"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self) -> float:
        """Median of one child's runs, milliseconds."""
        asked: IO[str] | None = self._process.stdin
        answers: IO[str] | None = self._process.stdout
        assert asked is not None
        assert answers is not None
        asked.write("measure\n")
        asked.flush()
        return float(answers.readline())

    def close(self) -> None:
        """End it."""
        self._process.communicate()


@contextmanager
def zygote(model: Path, core: int) -> Any:
    """A zygote for the length of a block."""
    process = Zygote(model, core)
    try:
        yield process
    finally:
        process.close()


def execute(model: Path, core: int) -> float:
    """Median of a fresh process's runs, milliseconds."""
    command = [sys.executable, "-c", WORKER, str(model), str(core)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def collect(model: Path, core: int, blocks: int, rounds: int, rng: np.random.Generator) -> Any:
    """(2, blocks, rounds) process medians, milliseconds: executed, then forked."""
    medians_ms = np.zeros((2, blocks, rounds))
    for block in range(blocks):
        with zygote(model, core) as parent, quiet_machine():
            for each in range(rounds):
                for kind in rng.permutation(2):
                    measured = parent.measure() if kind else execute(model, core)
                    medians_ms[kind, block, each] = measured
        print(f"  block {block + 1} of {blocks}", file=sys.stderr, flush=True)
    return medians_ms


def figures(logs: NDArray[np.float64]) -> dict[str, float]:
    """Spreads of (2, blocks, rounds) log medians within and between blocks."""
    rounds = logs.shape[2]
    within = logs.var(axis=2, ddof=1).mean(axis=1)
    # The machine's drift from block to block hits both, so the difference of the block means is free of it.
    means = logs.mean(axis=2)
    between = (means[1] - means[0]).var(ddof=1) - within.sum() / rounds
    return {
        "executed": float(np.sqrt(within[0])),
        "forked": float(np.sqrt(within[1])),
        "variance ratio": float(within[1] / within[0]),
        "between zygotes": float(np.sqrt(max(between, 0.0))),
        "shift": float(np.expm1((means[1] - means[0]).mean())),
    }


def with_intervals(logs: NDArray[np.float64], rng: np.random.Generator) -> dict[str, tuple[float, ...]]:
    """Each figure with its 95 % bootstrap interval over blocks."""
    blocks = logs.shape[1]
    drawn = [figures(logs[:, rng.integers(0, blocks, blocks)]) for _ in range(RESAMPLES)]
    found = figures(logs)
    return {
        name: (value, *np.quantile([each[name] for each in drawn], [0.025, 0.975]).tolist())
        for name, value in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=8, help="processes of each kind a block")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    load = load_average()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as name:
        plan = build_plan(canary_architecture(), Task(resolution=options.resolution))
        model = export_onnx(plan, Path(name), seed=0).path
        medians_ms = collect(model, options.core, options.blocks, options.rounds, rng)
    found = with_intervals(np.log(medians_ms), rng)
    print(
        f"median {np.median(medians_ms):.3g} ms, {options.blocks} zygotes x {options.rounds} processes of "
        "each kind"
    )
    for title, scale in (("executed", 100), ("forked", 100), ("variance ratio", 1), ("between zygotes", 100),
                         ("shift", 100)):  # fmt: skip
        value, low, high = (scale * each for each in found[title])
        print(f"{title:16} {value:8.2f}{' %' if scale == 100 else '  '}  [{low:.2f}, {high:.2f}]")
    _, low, high = found["variance ratio"]
    same = SAME[0] <= low and high <= SAME[1]
    verdict = "yes" if same else "not shown"
    print(f"the same variance (ratio within {SAME[0]} to {SAME[1]} by its interval): {verdict}")
    print(f"load average before {load}, after {load_average()}")
    if options.json:
        settings = {key: value for key, value in vars(options).items() if key != "json"}
        record = settings | {"load_average": load, "figures": found, "medians_ms": medians_ms.tolist()}
        options.json.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
