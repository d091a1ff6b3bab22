"""What watching the speed of the measuring core is worth on this machine, and what it costs.

The agent times a small fixed piece of work, a probe, between the timed runs, and counts a run only where the
core was as fast as at best on both sides of it: a neighbour on the other hardware thread of the core slows
everything, and no counter tells of it. Here several networks are measured in rounds of fresh processes, in an
order drawn anew each round, and the same processes are read in three ways:

- ``all runs``: the median of all timed runs of every process, as if nobody had watched;
- ``runs that count``: the median of those at speed; of all where too few are;
- ``undisturbed``: the same, without the processes that the agent calls disturbed, for whatever reason.

Reported for each is the spread between the processes of one network (the standard deviation of the logarithms
of their medians, pooled over networks) with a 95 % bootstrap interval (percentiles; networks are resampled
whole, the same ones for all three), and the ratio of the last to the first. The watch holds runs back while
the core is slow, which is good for all three: the ratio tells what counting is worth, not what waiting is.

Then what it costs, and how much longer than at best the probes took: if a fast core and a slow one are two
states that lie apart, few of the times are in between, where the limit is. Probes that were taken while a run
was held back are kept nowhere, so the core was slow more often than the last line says.

    python benchmarks/core_speed.py [--models 12] [--rounds 12] [--resolution 64] [--json FILE]
"""

import argparse
import json
import math
import os
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from noise.setup import export_models
from numpy.typing import NDArray
from one_model import load_average, local_agent, push_onnx, spread

from hytnas_agent.core_speed import TOLERANCE, CoreSpeed
from hytnas_agent.records import MeasureJob, MeasureSettings, Outcome, ProcessResult
from hytnas_agent.worker.speed import TIMED_PRODUCTS, WARMING_PRODUCTS
from hytnas_host.devices.client import AgentDevice

READINGS = ("all runs", "runs that count", "undisturbed")
RATIO = "undisturbed / all runs"
BANDS = (0.06, 0.18)
MIN_SLOW = 0.01
GAP = 1 / 3
"""The limit lies in a gap where in between are less than a third as many times as on either side, and more
than a hundredth of all are slow ones."""
RESAMPLES = 4000
TIMED_BUDGET_S = 0.05

Floats = NDArray[np.float64]
Results = list[list[ProcessResult]]
"""Of each network (outer) in each round (inner)."""
Figure = tuple[float, float, float]
"""A value, and the ends of its interval."""


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def measure(device: AgentDevice, sha256: str, core: int) -> ProcessResult:
    """One fresh process."""
    settings = MeasureSettings(core=core, timed_budget_s=TIMED_BUDGET_S)
    result = device.measure(MeasureJob(uuid.uuid4().hex, sha256, "onnx", settings, runtime="onnxruntime"))
    if result.outcome is not Outcome.OK:
        raise SystemExit(f"the agent reports {result.outcome}: {result.message}")
    if result.core_speed is None:
        raise SystemExit("the agent did not watch the speed of the core")
    return result


def measure_all(
    models: list[Path], rounds: int, core: int, folder: Path, rng: np.random.Generator
) -> Results:
    """Each network once a round."""
    results: Results = [[] for _ in models]
    with local_agent(folder / "agent", "benchmark of the watch over the core's speed") as device:
        hashes = [push_onnx(device, model) for model in models]
        for turn in range(rounds):
            for number in rng.permutation(len(models)):
                results[number].append(measure(device, hashes[number], core))
            say(f"round {turn + 1} of {rounds}")
    return results


def log_medians(results: Results) -> Floats:
    """(readings, models, rounds) logarithms of the medians in milliseconds; nan of a process left out."""
    logs = np.full((len(READINGS), len(results), len(results[0])), math.nan)
    for number, processes in enumerate(results):
        for turn, each in enumerate(processes):
            counted = np.log(np.median(each.counted_ms))
            logs[:2, number, turn] = np.log(np.median(each.samples_ms)), counted
            if not each.is_disturbed:
                logs[2, number, turn] = counted
    return logs


def figures(logs: Floats, rng: np.random.Generator) -> dict[str, Figure]:
    """The spread of each of (readings, models, rounds) logarithms, and the ratio of the last to the first.

    Networks of which fewer than two processes are left say nothing of it; nan where that is so of all.
    """
    there = np.isfinite(logs)
    counts = there.sum(axis=2)
    means = np.where(there, logs, 0.0).sum(axis=2) / np.maximum(counts, 1)
    squares = np.where(there, logs - means[:, :, None], 0.0) ** 2
    models = logs.shape[1]
    drawn = np.vstack([np.arange(models), rng.integers(0, models, (RESAMPLES, models))])
    sums = squares.sum(axis=2)[:, drawn].sum(axis=2)
    degrees = np.maximum(counts - 1, 0)[:, drawn].sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        spreads = np.sqrt(sums / degrees)
        ratio = spreads[-1] / spreads[0]
    rows = dict(zip(READINGS, spreads, strict=True)) | {RATIO: ratio}
    return {name: with_interval(row[0], row[1:]) for name, row in rows.items()}


def with_interval(value: float, resampled: Floats) -> Figure:
    """A value and its 95 % interval; nan where not every resampling has a value."""
    if not np.isfinite(resampled).all():
        return float(value), math.nan, math.nan
    low, high = np.quantile(resampled, [0.025, 0.975])
    return float(value), float(low), float(high)


def speeds_of(results: Results) -> list[CoreSpeed]:
    return [each.core_speed for processes in results for each in processes if each.core_speed is not None]


def costs(results: Results) -> dict[str, Any]:
    """Seconds for which runs of a process were held back, and the time of the probes to that of the runs."""
    speeds = speeds_of(results)
    timed_ms = sum(sum(each.probe_us) for each in speeds) / 1e3
    runs_ms = sum(sum(each.samples_ms) for processes in results for each in processes)
    return {
        "waited_s": spread([each.waited_s for each in speeds]),
        "processes that waited": float(np.mean([each.waited_s > 0 for each in speeds])),
        "probes to runs": timed_ms * (1 + WARMING_PRODUCTS / TIMED_PRODUCTS) / runs_ms,
    }


def shares_of_bands(speeds: list[CoreSpeed]) -> list[float]:
    """Share of the probes that took up to 6 % longer than at best, up to 18 %, and above that."""
    longer = np.array([probe_us / each.best_us - 1 for each in speeds for probe_us in each.probe_us])
    return (np.bincount(np.searchsorted(BANDS, longer), minlength=len(BANDS) + 1) / len(longer)).tolist()


def said_of_gap(shares: list[float]) -> str:
    """Whether the limit lies between two states, in words."""
    fast, between, slow = shares
    if slow < MIN_SLOW:
        return "cannot be told: the core was hardly ever slow"
    return "yes" if between < GAP * min(fast, slow) else "not shown"


def said_of_worth(ratio: Figure) -> str:
    """What the ratio of the spreads says, in words."""
    _, low, high = ratio
    if math.isnan(low) or math.isnan(high):
        return "cannot be told: too few undisturbed processes are left"
    if high < 1:
        return "yes, the spread is narrower"
    if low > 1:
        return "no, the spread is wider"
    return "not shown: the interval of the ratio includes 1, so there was nothing to see here"


def lines_of(found: dict[str, Any]) -> list[str]:
    """The tables."""
    lines = [f"{'reading':16} {'spread of processes [95 %]':>28} {'processes left':>16}"]
    for name in READINGS:
        value, low, high = (100 * each for each in found["figures"][name])
        cell = f"{value:.2f} % [{low:.2f}, {high:.2f}]"
        lines.append(f"{name:16} {cell:>28} {found['left'][name]:>16.0%}")
    ratio = found["figures"][RATIO]
    lines += [
        "{}: {:.2f} [{:.2f}, {:.2f}]".format(RATIO, *ratio),
        f"better for counting only runs at speed: {said_of_worth(ratio)}",
    ]
    cost = found["costs"]
    waited_s = cost["waited_s"]
    lines += [
        f"held back for the core to be fast: median {waited_s['median']:.3f} s a process, 90th percentile "
        f"{waited_s['p90']:.3f} s; {cost['processes that waited']:.0%} of the processes waited",
        f"probes took {cost['probes to runs']:.1%} of the time of the timed runs, with their untimed third",
    ]
    shares = found["probes"]
    near, far = BANDS
    bands = (f"up to {near:.0%}", f"{near:.0%} to {far:.0%}", f"above {far:.0%}")
    told = ", ".join(f"{band} {share:.1%}" for band, share in zip(bands, shares, strict=True))
    return [
        *lines,
        f"probes that took longer than at best ({found['best_us']:.1f} us) by: {told}",
        f"the limit, {TOLERANCE:.0%}, lies in a gap between fast and slow: {said_of_gap(shares)}",
    ]


def record_of(results: Results) -> list[dict[str, Any]]:
    """What the figures are made of, a process a row in order of networks and rounds."""
    return [
        {
            "model": number,
            "round": turn,
            "median_ms": float(np.median(each.samples_ms)),
            "counted_median_ms": float(np.median(each.counted_ms)),
            "runs": len(each.samples_ms),
            "counted_runs": len(each.counted_ms),
            "disturbed": list(each.verdict.reasons) if each.verdict and each.is_disturbed else [],
            "best_us": each.core_speed.best_us if each.core_speed else None,
            "probe_us": each.core_speed.probe_us if each.core_speed else (),
            "waited_s": each.core_speed.waited_s if each.core_speed else None,
        }
        for number, processes in enumerate(results)
        for turn, each in enumerate(processes)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=12, help="fresh processes of each network")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.models < 2 or options.rounds < 2:
        parser.error("there must be at least 2 networks and 2 rounds")
    load = load_average()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = export_models(options.models, options.resolution, options.seed, folder, say)
        results = measure_all(models, options.rounds, options.core, folder, rng)
    logs = log_medians(results)
    speeds = speeds_of(results)
    found = {
        "figures": figures(logs, rng),
        "left": dict(zip(READINGS, np.isfinite(logs).mean(axis=(1, 2)).tolist(), strict=True)),
        "costs": costs(results),
        "best_us": float(np.median([each.best_us for each in speeds])),
        "probes": shares_of_bands(speeds),
    }
    print(
        f"core {options.core}, load average {load} before, {load_average()} after; {options.models} networks "
        f"of hyt at {options.resolution}x{options.resolution}, {options.rounds} processes of each"
    )
    print("\n".join(lines_of(found)))
    if options.json:
        settings = {key: value for key, value in vars(options).items() if key != "json"}
        record = settings | {"load_average": load} | found | {"processes": record_of(results)}
        options.json.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
