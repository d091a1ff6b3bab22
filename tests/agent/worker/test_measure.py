"""What is made of inputs: made up, or given; in this process, for which a worker is not needed."""

import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import TensorProto

from hytnas_agent.records import Outcome
from hytnas_agent.runtimes.identity import model_identity
from hytnas_agent.worker.measure import measure
from hytnas_agent.worker.messages import Report, Stage, WorkerRequest

from ..conftest import helper, make_job, save_model
from ..test_direct import kept_apart


def measured(path: Path, inputs: Path | None = None) -> tuple[Report, list[str]]:
    stages: list[Stage] = []
    job = msgspec.structs.replace(make_job(path), model_sha256=model_identity(path, "onnx"))
    given = str(inputs) if inputs else None
    request = WorkerRequest(job, str(path), (), 1 << 40, os.getpid(), inputs_path=given)
    return measure(request, stages.append), [stage.name for stage in stages]


@pytest.fixture
def embedding(tmp_path: Path) -> Path:
    """It looks up one row beyond the indices that it is given, in a table of two."""
    nodes = [
        helper.make_node("Add", ["ids", "one"], ["next"]),
        helper.make_node("Gather", ["table", "next"], ["y"]),
    ]
    weights = {"one": np.array(1), "table": np.zeros((2, 4), np.float32)}
    ends = [("ids", TensorProto.INT64, [1, 64])], [("y", TensorProto.FLOAT, [1, 64, 4])]
    return save_model(tmp_path / "embedding.onnx", nodes, *ends, weights)


def test_made_up_inputs_that_end_a_run_are_not_the_model_s_fault(embedding: Path) -> None:
    report, stages = measured(embedding)
    assert report.outcome is Outcome.UNSUPPORTED
    assert report.message.startswith("the inputs were made up (give real ones with --inputs FILE.npz): ")
    assert (
        "onnxruntime could not run the model: in Gather: indices element out of data bounds" in report.message
    )
    assert stages[-1] == "in the first inference of made-up whole numbers"


def test_given_inputs_are_those_of_the_run(embedding: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "given.npz", ids=np.zeros((1, 64), np.int32))
    report, stages = measured(embedding, tmp_path / "given.npz")
    assert report.outcome is Outcome.OK, report.message
    assert "in the first inference" in stages
    assert report.samples_ms


def test_what_is_no_model_is_named_before_a_runtime_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    report, _ = measured(path)
    assert report.outcome is Outcome.INVALID_MODEL
    assert report.message.startswith("the file is no onnx model: it is a Git LFS pointer")


def test_a_model_beside_its_weights_is_measured(tmp_path: Path) -> None:
    report, _ = measured(kept_apart(tmp_path, 1.0))
    assert report.outcome is Outcome.OK, report.message
