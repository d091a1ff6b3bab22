"""A small space, an empty study, and makers of records with everything but what a test is about filled in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hytnas_agent.records import (
    DeviceContext,
    DeviceIdentity,
    LatencyLabel,
    MeasureSettings,
    Outcome,
    ProcessResult,
)
from hytnas_agent.statistics import median
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import Space, Variable
from hytnas_datasets.spaces.space import Architecture
from hytnas_datasets.store import AccuracyRecord, ExportRecord, Study

Make = Callable[..., Any]


@pytest.fixture
def space() -> Space:
    return Space(
        "tiny",
        (
            Variable("depth", (1, 2, 3)),
            Variable("ratio", (1.0, 1.5)),
            Variable("kind", ("conv", "attention")),
        ),
    )


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with Study.open(tmp_path / "study") as opened:
        yield opened


@pytest.fixture(scope="session")
def make_context() -> Make:
    def make(**changes: Any) -> DeviceContext:
        fields: dict[str, Any] = {
            "board": "Raspberry Pi 3 Model B",
            "soc": "BCM2837",
            "architecture": "aarch64",
            "cores": 4,
            "memory_bytes": 1 << 30,
            "os": "Debian 12",
            "kernel": "6.1",
            "runtime": "onnxruntime",
            "runtime_version": "1.26.0",
            "runtime_build": "release",
            "threads": 1,
            "governor": "performance",
        }
        return DeviceContext(**(fields | changes))

    return make


@pytest.fixture(scope="session")
def make_result(make_context: Make) -> Make:
    def make(job_id: str, sha256: str, **changes: Any) -> ProcessResult:
        fields: dict[str, Any] = {
            "measure_pass": "timed",
            "outcome": Outcome.OK,
            "settings": MeasureSettings(),
            "started_unix_s": 1000.0,
            "wall_s": 1.5,
            "agent_version": "0.1.0",
            "identity": DeviceIdentity("board-1", "pi"),
            "context": make_context(),
            "samples_ms": (10.0, 10.5, 11.0),
            "median_ms": 10.5,
        }
        median_ms, samples_ms = changes.get("median_ms"), changes.get("samples_ms")
        if median_ms is not None and samples_ms is None:
            fields["samples_ms"] = (0.95 * median_ms, median_ms, 1.05 * median_ms)
        if samples_ms and "median_ms" not in changes:
            fields["median_ms"] = median(samples_ms)
        return ProcessResult(job_id=job_id, model_sha256=sha256, **(fields | changes))

    return make


@pytest.fixture(scope="session")
def make_label() -> Make:
    def make(sha256: str, medians: tuple[float, ...] = (9.0, 10.0, 11.0), **changes: Any) -> LatencyLabel:
        fields: dict[str, Any] = {
            "outcome": Outcome.OK,
            "processes": len(medians),
            "samples": 30,
            "median_ms": sorted(medians)[len(medians) // 2] if medians else None,
            "process_medians_ms": medians,
            "jobs": (),
            "ci_low_ms": 8.5,
            "ci_high_ms": 11.5,
            "mad_ms": 0.2,
            "mean_ms": 10.1,
            "p90_ms": 11.0,
            "p99_ms": 12.0,
            "cold_ms": 30.0,
            "load_ms": 5.0,
            "throughput_per_s": 100.0,
            "peak_rss_bytes": 1 << 20,
            "model_bytes": 1000,
            "steady_processes": len(medians),
        }
        return LatencyLabel(model_sha256=sha256, **(fields | changes))

    return make


@pytest.fixture(scope="session")
def make_export() -> Make:
    def make(sha256: str, plan_hash: str | None, **changes: Any) -> ExportRecord:
        fields: dict[str, Any] = {
            "format": "onnx",
            "path": f"models/{sha256}.onnx",
            "size_bytes": 1000,
            "task": Task(),
            "opset": 17,
            "converter": "torch",
            "converter_version": "2.13.0",
        }
        return ExportRecord(sha256=sha256, plan_hash=plan_hash, **(fields | changes))

    return make


@pytest.fixture(scope="session")
def make_accuracy() -> Make:
    def make(architecture: Architecture, plan_hash: str, seed: int, **changes: Any) -> AccuracyRecord:
        fields: dict[str, Any] = {
            "accuracy": 0.5,
            "recipe": {"epochs": 2, "learning_rate": 0.002},
            "data_fingerprint": "digits",
            "task": Task(resolution=32, classes=10),
            "epochs": 2,
            "test_images": 800,
            "label": "accuracy after 2 epochs",
        }
        return AccuracyRecord(architecture=architecture, plan_hash=plan_hash, seed=seed, **(fields | changes))

    return make


@pytest.fixture(scope="session")
def make(
    make_context: Make, make_result: Make, make_label: Make, make_export: Make, make_accuracy: Make
) -> SimpleNamespace:
    return SimpleNamespace(
        context=make_context, result=make_result, label=make_label, export=make_export, accuracy=make_accuracy
    )


@pytest.fixture
def measured(study: Study, space: Space, make: SimpleNamespace) -> list[Architecture]:
    """Four architectures of the study, the last a duplicate network of the third, with labels; one failed."""
    architectures = [space.decode([[i, j, 0]])[0] for i, j in ((0, 0), (1, 0), (2, 0), (2, 1))]
    study.architectures.add(space, architectures, ["p0", "p1", "p2", "p2"], "latency")
    for index in range(3):
        study.exports.add(make.export(f"m{index}", f"p{index}"))
    study.labels.add(make.label("m0", (9.0, 10.0, 11.0)), "latency", "board-1", make.context())
    study.labels.add(make.label("m1", (), outcome=Outcome.OOM, median_ms=None), "latency", "board-1", None)
    study.labels.add(make.label("m2", (19.0, 20.0, 21.0)), "latency", "board-1", make.context())
    return architectures
