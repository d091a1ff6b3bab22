"""Provisioning the emulated board: real wheels for arm64, installed offline; every runtime measures there."""

import hashlib
import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner, Result

from hytnas_agent import __version__
from hytnas_agent.records import MeasureJob, MeasureSettings, ModelFormat, Outcome, ProcessResult
from hytnas_agent.runtimes.tflite import TINY_MODEL
from hytnas_host.cli.app import app
from hytnas_host.devices import open_device
from hytnas_host.devices.inventory import Inventory

from .board import ChrootBoard

pytestmark = pytest.mark.board

QUICK = MeasureSettings(
    warmup_max_runs=4, warmup_window=2, min_runs=3, max_runs=5, timed_budget_s=0.0, deadline_s=600.0
)


@pytest.fixture
def pi(chroot_board: ChrootBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChrootBoard:
    """A bare board, enrolled as `pi`."""
    monkeypatch.setenv("HYTNAS_DEVICES", str(tmp_path / "devices.toml"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    address = f"{chroot_board.user}@{chroot_board.host}:{chroot_board.port}"
    told = profile("device", "enrol", address, "--name", "pi", "--key", chroot_board.key_file, "--yes")
    assert told.exit_code == 0, told.output
    return chroot_board


def profile(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def provision(*words: str | Path) -> str:
    done = profile("device", "provision", "pi", *words)
    assert done.exit_code == 0, f"{done.output}\n{done.exception}"
    return done.output


def measure(model: Path, model_format: ModelFormat, runtime: str) -> ProcessResult:
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    with open_device("pi") as device:
        device.acquire("testing")
        device.push(model, sha256, model.suffix)
        job = MeasureJob(f"{runtime}-{sha256[:8]}", sha256, model_format, QUICK, runtime=runtime)
        result = device.measure(job)
        device.acknowledge([job.job_id])
    return result


@pytest.fixture
def tiny(tmp_path: Path) -> dict[ModelFormat, Path]:
    """A model of one node in each format."""
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "tiny.onnx")
    (tmp_path / "tiny.tflite").write_bytes(TINY_MODEL)
    return {"onnx": tmp_path / "tiny.onnx", "tflite": tmp_path / "tiny.tflite"}


def test_both_formats_are_measured_on_a_board_that_had_nothing(
    pi: ChrootBoard, tiny: dict[ModelFormat, Path]
) -> None:
    told = provision()
    assert "Python 3.11, aarch64" in told
    assert f"pi has agent {__version__} now" in told
    for model_format, runtime in (("onnx", "onnxruntime"), ("tflite", "ai-edge-litert")):
        result = measure(tiny[model_format], model_format, runtime)
        assert result.outcome is Outcome.OK, result.message
        assert result.context is not None
        assert result.context.runtime == runtime
    with open_device("pi") as device:
        described = device.describe()
    assert described.context.execution == "emulated"
    assert described.context.board.startswith("Raspberry Pi 3 Model B")
    assert described.identity.device_id == Inventory().get("pi").device_id

    removed = profile("device", "unprovision", "pi")
    assert removed.exit_code == 0, removed.output
    left = pi.ssh("find ~ -newer /etc/hostname -type f -path '*hytnas*'", check=True).stdout
    assert left == ""


def test_tflite_runtime_gets_the_older_numpy_that_it_needs(
    pi: ChrootBoard, tiny: dict[ModelFormat, Path]
) -> None:
    provision("--runtime", "tflite-runtime", "--runtime", "onnxruntime")
    root = "~/.local/share/hytnas/current"
    listed = json.loads(pi.ssh(f"cat {root}/hytnas.json", check=True).stdout)
    assert any("/numpy-1." in wheel for wheel in listed["wheels"])
    for model_format, runtime in (("onnx", "onnxruntime"), ("tflite", "tflite-runtime")):
        result = measure(tiny[model_format], model_format, runtime)
        assert result.outcome is Outcome.OK, result.message
        assert result.context is not None
        assert result.context.runtime == runtime
