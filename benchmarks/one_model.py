"""Shared by the benchmarks of the agent: one model measured in a fresh process, by the agent or by a script.

Both ways are pinned to one core, use one thread and as many warm-up and timed runs.
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
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


def script_command(model: Path, core: int) -> list[str]:
    """The plain script as a command."""
    return [sys.executable, "-c", SCRIPT, str(model), str(core), str(WARMUP_RUNS), str(TIMED_RUNS)]


def by_script(model: Path, core: int) -> Turn:
    """Measure with the plain script."""
    started_s = time.perf_counter()
    done = subprocess.run(script_command(model, core), check=True, stdout=subprocess.PIPE, text=True)
    wall_s = time.perf_counter() - started_s
    samples_ms = json.loads(done.stdout)
    return Turn(float(np.median(samples_ms[-TIMED_RUNS:])), wall_s, sum(samples_ms) / 1e3)


def by_agent(device: AgentDevice, sha256: str, core: int) -> Turn:
    """Measure with one job through the host's device client and the agent, as a collection does it."""
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
    return Turn(float(np.median(result.counted_ms)), wall_s, runs_ms / 1e3)


@contextlib.contextmanager
def local_agent(state: Path, reason: str, kind: type[AgentDevice] = AgentDevice) -> Iterator[AgentDevice]:
    """An agent of its own on this machine, taken for the benchmark and ended with it."""
    transport = LocalTransport(state, idle_exit_s=60)
    with kind("local", transport, client_id="benchmark", shares_processor=True) as device:
        agent_pid = device.hello().agent_pid
        try:
            device.acquire(reason)
            yield device
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(agent_pid, signal.SIGTERM)


def push_onnx(device: AgentDevice, model: Path) -> str:
    """Bring a model to the agent; its hash."""
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    device.push(model, sha256, ".onnx")
    return sha256


def export_canary(folder: Path) -> Path:
    """The canary of every collection, at 224x224."""
    return export_onnx(build_plan(canary_architecture(), Task()), folder, seed=0).path


def spread(values: list[float]) -> dict[str, float]:
    """Median, and 10th to 90th percentile."""
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    return {"p10": float(low), "median": float(middle), "p90": float(high)}


def load_average() -> list[float]:
    """What else this machine is doing: the load over 1, 5 and 15 minutes."""
    return [round(load, 2) for load in os.getloadavg()]
