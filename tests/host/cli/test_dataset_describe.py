"""`dataset describe` says what the labels rest on, in the words of the report."""

import json

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from hytnas_agent.commands import summarise
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
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import ExportRecord, Study
from hytnas_host.cli import console
from hytnas_host.cli.app import app
from hytnas_host.collect.label_rows import rows_of_study

CONTEXT = DeviceContext("Pi", "bcm", "aarch64", 4, 2**30, "Debian", "6.1", "onnxruntime", "1", "x", 1, "fast")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study with one label, of three processes, of two equal files, and one that could not be read."""
    folder = tmp_path_factory.mktemp("study")
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
            load_ms=1.0,
            cold_ms=12.25,
            verdict=verdict,
        )
        for number in range(3)
    ]
    label: LatencyLabel = msgspec.structs.replace(aggregate(results), outcome=Outcome.UNSTABLE)
    with Study.open(folder) as study:
        names = ("a.onnx", "b.onnx")
        study.exports.add(ExportRecord("a", "onnx", "a.onnx", 1, names=names, shapes={"x": (1, 3, 8, 8)}))
        study.failures.add("file", "/home/me/c.onnx", "it is empty")
        study.failures.add("file", "/home/me/b.onnx", "mended since")
        for number, result in enumerate(results):
            study.results.add(result, model_sha256="a", purpose="latency", replicate=number)
        study.labels.add(label, "latency", "board-1", CONTEXT)
    return folder


def test_the_labels_of_each_device_are_described(folder, monkeypatch):
    monkeypatch.setattr(console.out, "width", 80)
    told = CliRunner().invoke(app, ["dataset", "describe", "--study", str(folder)])
    assert told.exit_code == 0
    assert "How the latencies were measured" in told.output
    assert "board-1" in told.output
    assert "Nothing here looks for: clock, temperature." in told.output
    assert "None: labels of processes that were not judged" in told.output
    printed = CliRunner().invoke(app, ["dataset", "describe", "--study", str(folder), "--json"])
    (quality,) = json.loads(printed.output)["qualities"]
    assert (quality["unverified"], quality["unstable"], quality["processes"]) == (1, 1, 3)


@pytest.mark.parametrize("width", [80, 200])
def test_the_latency_of_each_file_is_shown_or_why_there_is_none(folder, tmp_path, monkeypatch, width):
    monkeypatch.setattr(console.out, "width", width)
    command = ["dataset", "labels", "--study", str(folder)]
    told = CliRunner().invoke(app, [*command, "--csv", str(tmp_path / "labels.csv")])
    assert told.exit_code == 0, told.output
    with Study.open(folder) as study:
        (stored,) = study.labels.all()
    told_by_the_agent = summarise("a.onnx", msgspec.structs.replace(stored.label, outcome=Outcome.OK), [])
    for name in ("a.onnx", "b.onnx"):
        line = next(line for line in told.output.splitlines() if name in line)
        cells = [cell.strip() for cell in line.split("\u2502")[1:-1]]
        figures = [cells[1], *(cells[2].split(" to ") if width > 80 else ()), cells[3], cells[4]]
        assert all(figure in told_by_the_agent for figure in figures), figures
    assert "it is empty" in told.output
    assert "mended since" not in told.output
    header, *rows = (tmp_path / "labels.csv").read_text().splitlines()
    assert header.startswith("file,kind,shapes,device,")
    assert rows[0].startswith('a.onnx,onnx fp32,"x:1,3,8,8",board-1,native,UNSTABLE')
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).output)
    assert [row["file"] for row in found] == ["a.onnx", "b.onnx", "c.onnx"]


def test_networks_are_called_by_their_ids(folder, tmp_path):
    space = get_space("hyt")
    (architecture,) = space.sample(1, np.random.default_rng(0))
    with Study.open(folder) as study:
        (stored,) = study.labels.all()
    with Study.open(tmp_path) as study:
        study.architectures.add(space, [architecture], ["p"], "latency")
        study.exports.add(ExportRecord("a", "onnx", "models/a.onnx", 1, plan_hash="p"))
        study.labels.add(stored.label, "latency", "board-1", CONTEXT)
        (row,) = rows_of_study(study)
    assert (row.file, row.kind, row.median_ms) == (space.format(architecture), "onnx fp32", 11.0)
