"""`dataset describe` says what the labels rest on, in the words of the report."""

import json

import msgspec
from typer.testing import CliRunner

from hytnas_agent.label import aggregate
from hytnas_agent.records import (
    DeviceContext,
    DeviceIdentity,
    LatencyLabel,
    MeasureSettings,
    Outcome,
    ProcessResult,
    Verdict,
)
from hytnas_datasets.store import ExportRecord, Study
from hytnas_host.cli import console
from hytnas_host.cli.app import app

CONTEXT = DeviceContext("Pi", "bcm", "aarch64", 4, 2**30, "Debian", "6.1", "onnxruntime", "1", "x", 1, "fast")


def test_the_labels_of_each_device_are_described(tmp_path, monkeypatch):
    monkeypatch.setattr(console.out, "width", 80)
    verdict = Verdict("VALID_UNVERIFIED", (), ("clock", "temperature"))
    results = [
        ProcessResult(
            f"job-{number}",
            "a",
            "timed",
            Outcome.OK,
            MeasureSettings(),
            float(number),
            1.0,
            "0.1.0",
            DeviceIdentity("board-1", "pi"),
            CONTEXT,
            samples_ms=(10.0 + number,) * 3,
            median_ms=10.0 + number,
            verdict=verdict,
        )
        for number in range(3)
    ]
    label: LatencyLabel = msgspec.structs.replace(aggregate(results), outcome=Outcome.UNSTABLE)
    with Study.open(tmp_path) as study:
        study.exports.add(ExportRecord("a", "onnx", "a.onnx", 1))
        for number, result in enumerate(results):
            study.results.add(result, model_sha256="a", purpose="latency", replicate=number)
        study.labels.add(label, "latency", "board-1", CONTEXT)
    told = CliRunner().invoke(app, ["dataset", "describe", "--study", str(tmp_path)])
    assert told.exit_code == 0
    assert "How the latencies were measured" in told.output
    assert "board-1" in told.output
    assert "Nothing here looks for: clock, temperature." in told.output
    assert "None: labels of processes that were not judged" in told.output
    printed = CliRunner().invoke(app, ["dataset", "describe", "--study", str(tmp_path), "--json"])
    (quality,) = json.loads(printed.output)["qualities"]
    assert (quality["unverified"], quality["unstable"], quality["processes"]) == (1, 1, 3)
