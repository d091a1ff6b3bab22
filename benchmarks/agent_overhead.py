"""What the agent costs beyond the timed runs, and whether it reports what a plain loop on the same core sees.

Three ways to measure one model in a fresh process are taken in turns, in an order drawn anew each round, so
that what disturbs the machine disturbs all:

- ``agent``: one job through the host's device client and the agent, as a collection does it;
- ``script``: a plain script that starts Python, imports the runtime, loads, warms up and times;
- ``again``: the same script once more, which shows how far two equal ways differ by chance.

All are pinned to one core, use one thread and as many warm-up and timed runs. Reported are the seconds each
way takes beyond its own runs (start, import, load, talk), and the reported medians relative to ``script`` in
the same round: median, and 10th to 90th percentile over rounds.

Run: python benchmarks/agent_overhead.py [--model FILE.onnx] [--rounds 15] [--json FILE]
Without a model, the canary of every collection is exported at 224x224.
"""

import argparse
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hytnas_agent.records import MeasureJob, MeasureSettings, Outcome
from hytnas_datasets.plan import Task, build_plan
from hytnas_host.collect.canary import canary_architecture
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.transport import LocalTransport
from hytnas_host.export import export_onnx

WARMUP_RUNS = 10
TIMED_RUNS = 30

SCRIPT = """
import json, os, sys, time
os.sched_setaffinity(0, {int(sys.argv[2])})
import numpy as np
import onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
rng = np.random.default_rng(0)
feed = {i.name: rng.standard_normal(i.shape, dtype=np.float32) for i in session.get_inputs()}
samples = []
for _ in range(1 + int(sys.argv[3]) + int(sys.argv[4])):
    start = time.perf_counter_ns()
    session.run(None, feed)
    samples.append((time.perf_counter_ns() - start) / 1e6)
print(json.dumps(samples))
"""


@dataclass(frozen=True)
class Turn:
    """One fresh process: its median latency, its wall time, and what of that were runs of the model."""

    median_ms: float
    wall_s: float
    runs_s: float

    @property
    def overhead_s(self) -> float:
        """Seconds beyond the runs."""
        return self.wall_s - self.runs_s


def by_agent(device: AgentDevice, sha256: str, core: int) -> Turn:
    settings = MeasureSettings(
        core=core,
        warmup_window=WARMUP_RUNS // 2,
        warmup_max_runs=WARMUP_RUNS,
        min_runs=TIMED_RUNS,
        max_runs=TIMED_RUNS,
    )
    job = MeasureJob(uuid.uuid4().hex, sha256, "onnx", settings, runtime="onnxruntime")
    started_s = time.perf_counter()
    result = device.measure(job)
    wall_s = time.perf_counter() - started_s
    if result.outcome is not Outcome.OK or result.cold_ms is None:
        raise SystemExit(f"the agent reports {result.outcome}: {result.message}")
    runs_ms = result.cold_ms + sum(result.warmup_ms) + sum(result.samples_ms)
    return Turn(float(np.median(result.samples_ms)), wall_s, runs_ms / 1e3)


def by_script(model: Path, core: int) -> Turn:
    arguments = [str(model), str(core), str(WARMUP_RUNS), str(TIMED_RUNS)]
    started_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], check=True, stdout=subprocess.PIPE, text=True
    )
    wall_s = time.perf_counter() - started_s
    samples_ms = json.loads(done.stdout)
    return Turn(float(np.median(samples_ms[-TIMED_RUNS:])), wall_s, sum(samples_ms) / 1e3)


def take_turns(model: Path, rounds: int, core: int, folder: Path) -> dict[str, list[Turn]]:
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    transport = LocalTransport(folder / "agent", idle_exit_s=60)
    rng = np.random.default_rng(0)
    turns: dict[str, list[Turn]] = {"agent": [], "script": [], "again": []}
    with AgentDevice("local", transport, client_id="benchmark", shares_processor=True) as device:
        agent_pid = device.hello().agent_pid
        try:
            device.acquire("benchmark of the agent's overhead")
            device.push(model, sha256, ".onnx")
            by_agent(device, sha256, core)
            by_script(model, core)
            for _ in range(rounds):
                for way in rng.permutation(list(turns)):
                    agent = way == "agent"
                    turns[way].append(by_agent(device, sha256, core) if agent else by_script(model, core))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(agent_pid, signal.SIGTERM)
    return turns


def spread(values: list[float]) -> dict[str, float]:
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    return {"p10": float(low), "median": float(middle), "p90": float(high)}


def summarise(turns: dict[str, list[Turn]]) -> list[dict[str, object]]:
    return [
        {
            "way": way,
            "overhead_s": spread([turn.overhead_s for turn in taken]),
            "wall_s": spread([turn.wall_s for turn in taken]),
            "median_ms": spread([turn.median_ms for turn in taken]),
            "latency_ratio": spread(
                [turn.median_ms / plain.median_ms for turn, plain in zip(taken, turns["script"], strict=True)]
            ),
            "overhead_ratio": spread(
                [
                    turn.overhead_s / plain.overhead_s
                    for turn, plain in zip(taken, turns["script"], strict=True)
                ]
            ),
        }
        for way, taken in turns.items()
    ]


def show(rows: list[dict[str, object]]) -> None:
    print(f"{'way':8} {'beyond the runs, s':>24} {'median latency, ms':>24} {'latency / script':>24}")
    for row in rows:
        cells = []
        for name in ("overhead_s", "median_ms", "latency_ratio"):
            values = row[name]
            assert isinstance(values, dict)
            cells.append(f"{values['median']:.3f} [{values['p10']:.3f}, {values['p90']:.3f}]")
        print(f"{row['way']:8} " + " ".join(f"{cell:>24}" for cell in cells))


def export_canary(folder: Path) -> Path:
    return export_onnx(build_plan(canary_architecture(), Task()), folder, seed=0).path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = arguments.model or export_canary(folder)
        rows = summarise(take_turns(model, arguments.rounds, arguments.core, folder))
    show(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps({"rounds": arguments.rounds, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
