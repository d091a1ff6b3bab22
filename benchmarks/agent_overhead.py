"""What the agent costs beyond the timed runs, against a plain script that does the same.

Three ways to measure one model in a fresh process are taken in turns, in an order drawn anew each round, so
that what disturbs the machine disturbs all:

- ``agent``: one job through the host's device client and the agent, as a collection does it;
- ``script``: a plain script that starts Python, imports the runtime, loads, warms up and times;
- ``again``: the same script once more, which shows how far two equal ways differ by chance.

All are pinned to one core, use one thread and as many warm-up and timed runs. Reported are the seconds each
way takes beyond its own runs (start, import, load, talk), and these relative to ``script`` in the same round:
median, and 10th to 90th percentile over rounds.

Run: python benchmarks/agent_overhead.py [--model FILE.onnx] [--rounds 15] [--json FILE]
Without a model, the canary of every collection is exported at 224x224.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from one_model import Turn, by_agent, by_script, export_canary, load_average, local_agent, push_onnx, spread


def take_turns(model: Path, rounds: int, core: int, folder: Path) -> dict[str, list[Turn]]:
    rng = np.random.default_rng(0)
    turns: dict[str, list[Turn]] = {"agent": [], "script": [], "again": []}
    with local_agent(folder / "agent", "benchmark of the agent's overhead") as device:
        sha256 = push_onnx(device, model)
        by_agent(device, sha256, core)
        by_script(model, core)
        for _ in range(rounds):
            for way in rng.permutation(list(turns)):
                agent = way == "agent"
                turns[way].append(by_agent(device, sha256, core) if agent else by_script(model, core))
    return turns


def summarise(turns: dict[str, list[Turn]]) -> list[dict[str, object]]:
    rows = []
    for way, taken in turns.items():
        pairs = list(zip(taken, turns["script"], strict=True))
        rows.append(
            {
                "way": way,
                "overhead_s": spread([turn.overhead_s for turn in taken]),
                "overhead_ratio": spread([turn.overhead_s / plain.overhead_s for turn, plain in pairs]),
                "overhead_added_s": spread([turn.overhead_s - plain.overhead_s for turn, plain in pairs]),
                "wall_s": spread([turn.wall_s for turn in taken]),
            }
        )
    return rows


def show(rows: list[dict[str, object]]) -> None:
    columns = {
        "overhead_s": "beyond the runs, s",
        "overhead_ratio": "ratio to script",
        "overhead_added_s": "added to script, s",
        "wall_s": "wall time, s",
    }
    print(f"{'way':8} " + " ".join(f"{title:>24}" for title in columns.values()))
    for row in rows:
        cells = []
        for name in columns:
            values = row[name]
            assert isinstance(values, dict)
            cells.append(f"{values['median']:.3f} [{values['p10']:.3f}, {values['p90']:.3f}]")
        print(f"{row['way']:8} " + " ".join(f"{cell:>24}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    load = load_average()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = arguments.model or export_canary(folder)
        rows = summarise(take_turns(model, arguments.rounds, arguments.core, folder))
    show(rows)
    print(f"load average before: {load}")
    if arguments.json:
        found = {"rounds": arguments.rounds, "load_average": load, "rows": rows}
        arguments.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
