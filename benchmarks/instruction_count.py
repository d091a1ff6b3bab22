"""How well instruction counts repeat: the same models again in fresh processes, in another order, under load.

Architectures of ``hyt`` are exported and each is measured in several rounds on ``icount-a53``, every round in
an order of its own. In every second round one busy process a processor runs beside. The spread of a model is
the range of its latencies over their median (aim: 0.1 %).

Run: python benchmarks/instruction_count.py [--models 6] [--rounds 6] [--resolution 96] [--json FILE]
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hytnas_agent.records import MeasureJob, Outcome
from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import get_space
from hytnas_host.devices import open_device
from hytnas_host.devices.icount import DEVICE_NAME
from hytnas_host.export import ExportedModel, ExportPool

AIM_PERCENT = 0.1


def spin(stop: object) -> None:
    while not stop.is_set():  # type: ignore[attr-defined]
        sum(range(10_000))


@contextlib.contextmanager
def load(processes: int) -> Iterator[None]:
    """So many busy processes."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    busy = [context.Process(target=spin, args=(stop,), daemon=True) for _ in range(processes)]
    for each in busy:
        each.start()
    try:
        yield
    finally:
        stop.set()
        for each in busy:
            each.join()


def export(count: int, resolution: int, folder: Path, seed: int) -> list[ExportedModel]:
    task = Task(resolution=resolution)
    plans = [build_plan(a, task) for a in get_space("hyt").sample(count, np.random.default_rng(seed))]
    with ExportPool() as pool:
        return [future.result() for future in [pool.submit(plan, folder, seed=seed) for plan in plans]]


def measure(models: list[ExportedModel], rounds: int, seed: int) -> tuple[np.ndarray, float]:
    """Latencies, rounds x models in milliseconds, and the seconds that measuring took."""
    rng = np.random.default_rng(seed)
    latencies = np.zeros((rounds, len(models)))
    seconds = 0.0
    with open_device(DEVICE_NAME) as device:
        device.acquire("benchmarks/instruction_count.py")
        for model in models:
            device.push(model.path, model.sha256, ".onnx")
        for number in range(rounds):
            busy = load(os.cpu_count() or 1) if number % 2 else contextlib.nullcontext()
            with busy:
                begun = time.monotonic()
                for index in rng.permutation(len(models)):
                    job = MeasureJob(uuid.uuid4().hex, models[index].sha256, "onnx", device.method.settings)
                    result = device.measure(job)
                    if result.outcome is not Outcome.OK or result.median_ms is None:
                        raise SystemExit(f"a measurement ended {result.outcome}: {result.message}")
                    latencies[number, index] = result.median_ms
                seconds += time.monotonic() - begun
    return latencies, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--resolution", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = export(options.models, options.resolution, Path(folder), options.seed)
        latencies, seconds = measure(models, options.rounds, options.seed)
    spread = 100 * np.ptp(latencies, axis=0) / np.median(latencies, axis=0)
    loaded, alone = latencies[1::2], latencies[::2]
    shift = 100 * (np.median(loaded, axis=0) / np.median(alone, axis=0) - 1) if len(loaded) else spread * 0
    print(f"{'model':>8}  {'median ms':>10}  {'range %':>8}  {'under load %':>12}")
    for index, model in enumerate(models):
        median = np.median(latencies[:, index])
        print(f"{model.sha256[:8]:>8}  {median:10.4f}  {spread[index]:8.4f}  {shift[index]:+12.4f}")
    rate = 3600 * latencies.size / seconds
    print(
        f"largest range {spread.max():.4f} % (aim {AIM_PERCENT} %), largest shift under load "
        f"{np.abs(shift).max():.4f} %; {latencies.size} processes, {rate:.0f} an hour"
    )
    if options.json:
        figures = {
            "resolution": options.resolution,
            "latencies_ms": latencies.tolist(),
            "range_percent": spread.tolist(),
            "shift_under_load_percent": shift.tolist(),
            "processes_per_hour": rate,
        }
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
