"""A study with made-up labels, in which everything after the collection can be run for real."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hytnas_agent.records import DeviceContext, LatencyLabel, Outcome
from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import AccuracyRecord, ExportRecord, Study
from hytnas_host.export.target import TORCH_ONNX
from hytnas_predictors.estimators import ESTIMATORS

TASK = Task(resolution=32, classes=2)
N = 24
CHEAP = ("xgboost", "lightgbm", "layerwise", "transfer", "gp", "ridge")


@pytest.fixture(scope="module", autouse=True)
def few_estimators() -> Iterator[None]:
    """Leaderboards of cheap estimators: all are compared in the tests of the leaderboard itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ESTIMATORS, "bundled", {name: ESTIMATORS.bundled[name] for name in CHEAP})
        yield


def latency_label(sha256: str, medians: np.ndarray) -> LatencyLabel:
    median = float(np.median(medians))
    return LatencyLabel(
        model_sha256=sha256,
        outcome=Outcome.OK,
        processes=len(medians),
        samples=50,
        median_ms=median,
        process_medians_ms=tuple(medians.tolist()),
        jobs=(),
        ci_low_ms=median * 0.98,
        ci_high_ms=median * 1.02,
        mad_ms=0.01,
        mean_ms=median,
        p90_ms=median,
        p99_ms=median,
        cold_ms=median,
        load_ms=1.0,
        throughput_per_s=1e3 / median,
        peak_rss_bytes=1,
        model_bytes=1,
        steady_processes=5,
    )


def fill(folder: Path, context: DeviceContext, n: int = N, converter_version: str = "") -> None:
    """``n`` labels of each target: a function of the counts of the plan, with a little noise."""
    space = get_space("hyt")
    rng = np.random.default_rng(7)
    architectures = space.sample(n, rng)
    plans = [build_plan(architecture, TASK) for architecture in architectures]
    with Study.open(folder) as study:
        for purpose in ("latency", "accuracy"):
            study.architectures.add(space, architectures, [plan.hash for plan in plans], purpose)
        for number, (architecture, plan) in enumerate(zip(architectures, plans, strict=True)):
            sha256 = f"{number:064x}"
            study.exports.add(
                ExportRecord(
                    sha256,
                    "onnx",
                    f"models/{sha256}.onnx",
                    1,
                    plan.hash,
                    TASK,
                    converter=TORCH_ONNX,
                    converter_version=converter_version,
                )
            )
            medians = plan.macs / 1e6 * np.exp(rng.normal(0.0, 0.01, 5))
            study.labels.add(latency_label(sha256, medians), "latency", "made-up", context)
            for seed in range(2 if number < 4 else 1):
                study.accuracies.add(
                    AccuracyRecord(
                        architecture,
                        plan.hash,
                        seed,
                        float(np.clip(0.1 * np.log10(plan.params) + rng.normal(0.0, 0.01), 0.0, 1.0)),
                        {"epochs": 1},
                        "made-up",
                        TASK,
                        1,
                        100,
                        label="made up for a test",
                    )
                )


@pytest.fixture(scope="session")
def context() -> DeviceContext:
    return DeviceContext(
        board="test",
        soc="test",
        architecture="x86_64",
        cores=2,
        memory_bytes=1,
        os="test",
        kernel="1",
        runtime="onnxruntime",
        runtime_version="1",
        runtime_build="cpu",
        threads=1,
        governor="none",
        execution="simulated",
    )
