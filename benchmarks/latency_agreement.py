"""Whether the latency that the agent reports is what a plain loop on the same core sees (aim: within 1 %).

Several models, from small to large, are measured in turns by the agent and by a plain script (see
``one_model.py``), each time in a fresh process, in an order drawn anew each round. The script is run twice a
round: the ratio of the two says how far two equal ways differ by chance. Reported is the ratio of the median
latencies to ``script``: the median of all rounds' medians of one way by that of the other, with a 95 %
bootstrap interval over rounds (percentiles; rounds are resampled whole, so what disturbs a round disturbs
both). Beside it is the ratio of the 10th percentiles over rounds, which says more on a machine that others
use: what disturbs makes runs longer, never shorter.

Run: python benchmarks/latency_agreement.py [--models 3] [--rounds 15] [--json FILE]
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from one_model import by_agent, by_script, load_average, local_agent, push_onnx

from hytnas_datasets.plan import Task, build_plan, count_network
from hytnas_datasets.spaces import get_space
from hytnas_host.export import export_onnx

AIM = 0.01
RESAMPLES = 2000
SAMPLED = 40
WAYS = ("agent", "script", "again")
Floats = NDArray[np.float64]


def export_models(count: int, folder: Path) -> list[Path]:
    """Networks of ``hyt`` at 224x224, evenly spaced by MACs among a uniform sample."""
    architectures = get_space("hyt").sample(SAMPLED, np.random.default_rng(0))
    architectures.sort(key=lambda each: count_network(each, Task()).macs)
    chosen = [architectures[i] for i in np.linspace(0, SAMPLED - 1, count).round().astype(int)]
    return [export_onnx(build_plan(each, Task()), folder, seed=0).path for each in chosen]


def measure_all(models: list[Path], rounds: int, core: int, folder: Path) -> Floats:
    """(models, rounds, ways) median latencies in milliseconds."""
    rng = np.random.default_rng(1)
    medians_ms = np.empty((len(models), rounds, len(WAYS)))
    with local_agent(folder / "agent", "benchmark of the reported latency") as device:
        hashes = [push_onnx(device, model) for model in models]
        for turn in range(rounds):
            for slot in rng.permutation(len(models) * len(WAYS)):
                number, way = divmod(int(slot), len(WAYS))
                taken = (
                    by_agent(device, hashes[number], core)
                    if WAYS[way] == "agent"
                    else by_script(models[number], core)
                )
                medians_ms[number, turn, way] = taken.median_ms
    return medians_ms


def ratio_to_script(medians_ms: Floats, way: int, rng: np.random.Generator) -> dict[str, float]:
    """Ratio of the medians of (rounds, ways) latencies, with its interval, and of their 10th percentiles."""
    script = WAYS.index("script")
    rounds = len(medians_ms)
    drawn = np.median(medians_ms[rng.integers(0, rounds, (RESAMPLES, rounds))], axis=1)
    low, high = np.quantile(drawn[:, way] / drawn[:, script], [0.025, 0.975])
    middle = np.median(medians_ms, axis=0)
    quiet = np.quantile(medians_ms, 0.1, axis=0)
    return {
        "value": float(middle[way] / middle[script]),
        "low": float(low),
        "high": float(high),
        "undisturbed": float(quiet[way] / quiet[script]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    load = load_average()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = export_models(arguments.models, folder)
        medians_ms = measure_all(models, arguments.rounds, arguments.core, folder)
    rng = np.random.default_rng(2)
    rows = [
        {
            "script_ms": float(np.median(medians_ms[number, :, WAYS.index("script")])),
            "agent_to_script": ratio_to_script(medians_ms[number], WAYS.index("agent"), rng),
            "again_to_script": ratio_to_script(medians_ms[number], WAYS.index("again"), rng),
        }
        for number in range(len(models))
    ]
    titles = ("agent / script [95 %], p10", "again / script [95 %], p10")
    print(f"{'script, ms':>10} {titles[0]:>33} {titles[1]:>33}  within {AIM:.0%}")
    for row in rows:
        cells = [
            f"{each['value']:.4f} [{each['low']:.4f}, {each['high']:.4f}], {each['undisturbed']:.4f}"
            for each in (row["agent_to_script"], row["again_to_script"])
        ]
        within = "yes" if abs(row["agent_to_script"]["value"] - 1) <= AIM else "no"
        print(f"{row['script_ms']:10.2f} {cells[0]:>33} {cells[1]:>33}  {within}")
    print(f"{arguments.rounds} rounds; load average before: {load}")
    if arguments.json:
        found = {"rounds": arguments.rounds, "load_average": load, "rows": rows}
        arguments.json.write_text(json.dumps(found | {"medians_ms": medians_ms.tolist()}, indent=2))


if __name__ == "__main__":
    main()
