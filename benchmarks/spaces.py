"""Seconds to sample and encode architectures of every bundled space, against a plain Python loop.

The loop draws one choice per existing variable with `random`, skips what it drew before, and encodes into
rows; it knows neither constraints nor the shares of conditional variables and makes no architecture objects.
It does less than the toolkit: on ``hyt-mixed`` its draws are not uniform over architectures.

    python benchmarks/spaces.py [--n 100000] [--repeats 3] [--json FILE]
"""

import argparse
import json
import platform
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hytnas_datasets.spaces import INACTIVE, Space, get_space


def plain_loop(space: Space, n: int, seed: int) -> list[list[int]]:
    """Codes of ``n`` distinct architectures, one choice at a time."""
    rng = random.Random(seed)
    seen: set[tuple[int, ...]] = set()
    rows: list[list[int]] = []
    while len(rows) < n:
        values: dict[str, object] = {}
        codes = []
        for variable in space.variables:
            if variable.when is None or values.get(variable.when.variable) in variable.when.values:
                code = rng.randrange(len(variable.choices))
                values[variable.name] = variable.choices[code]
            else:
                code = INACTIVE
            codes.append(code)
        if tuple(codes) not in seen:
            seen.add(tuple(codes))
            rows.append(codes)
    return rows


def toolkit(space: Space, n: int, seed: int) -> None:
    """The same by `Space.sample` and `Space.encode`."""
    space.encode(space.sample(n, np.random.default_rng(seed)))


def seconds(task: Callable[[Space, int, int], object], space: Space, n: int, repeats: int) -> float:
    """Median wall-clock seconds of fresh runs."""
    taken = []
    for seed in range(repeats):
        start = time.perf_counter()
        task(space, n, seed)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=100_000, help="architectures a run (default %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs, of which the median counts")
    parser.add_argument("--json", type=Path, help="write the table to this file as well")
    arguments = parser.parse_args()
    rows = []
    print(f"{'space':14} {'size':>13} {'variables':>9} {'toolkit s':>9} {'loop s':>7} {'loop / toolkit':>14}")
    for name in ("hyt", "hyt-released", "hyt-mixed"):
        space = get_space(name)
        fast = seconds(toolkit, space, arguments.n, arguments.repeats)
        loop = seconds(plain_loop, space, arguments.n, arguments.repeats)
        rows.append({"space": name, "toolkit_s": fast, "loop_s": loop, "ratio": loop / fast})
        v = len(space.variables)
        print(f"{name:14} {space.size:13d} {v:9d} {fast:9.3f} {loop:7.3f} {loop / fast:14.1f}")
    if arguments.json:
        versions = {"python": platform.python_version(), "numpy": np.__version__}
        plain = {"n": arguments.n, "repeats": arguments.repeats, "versions": versions, "rows": rows}
        arguments.json.write_text(json.dumps(plain, indent=2) + "\n")


if __name__ == "__main__":
    main()
