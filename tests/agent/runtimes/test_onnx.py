import importlib.metadata
from pathlib import Path

import numpy as np
import onnx
import pytest

from hytnas_agent.records import Outcome
from hytnas_agent.runtimes.base import RuntimeFailure
from hytnas_agent.runtimes.onnx import OnnxRuntime, check_version
from hytnas_agent.runtimes.registry import create


def test_a_free_batch_axis_is_set_to_one(models) -> None:
    model = OnnxRuntime().load(models.free_batch, threads=1)
    assert model.inputs[0].shape == (1, 3, 8, 8)
    assert model.run([np.zeros((1, 3, 8, 8), np.float32)])[0].shape == (1, 4, 8, 8)


@pytest.mark.parametrize("which", ["free_width", "unknown_operator"])
def test_what_it_does_not_support_is_said_so(models, which: str) -> None:
    with pytest.raises(RuntimeFailure) as raised:
        OnnxRuntime().load(getattr(models, which), threads=1)
    assert raised.value.outcome is Outcome.UNSUPPORTED, raised.value.what


@pytest.mark.parametrize("newer", ["ir_version", "opset"])
def test_a_model_of_a_newer_format_is_unsupported(models, tmp_path: Path, newer: str) -> None:
    model = onnx.load(models.tiny)
    if newer == "opset":
        model.opset_import[0].version = 99
    else:
        model.ir_version = 99
    path = tmp_path / "newer.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(RuntimeFailure) as raised:
        OnnxRuntime().load(path, threads=1)
    assert raised.value.outcome is Outcome.UNSUPPORTED, raised.value.what


def test_a_corrupt_file_is_an_invalid_model(models) -> None:
    with pytest.raises(RuntimeFailure) as raised:
        OnnxRuntime().load(models.corrupt, threads=1)
    assert raised.value.outcome is Outcome.INVALID_MODEL


def test_without_the_package_what_it_comes_with_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(RuntimeFailure, match=r"it comes with hytnas\[onnx\]") as raised:
        create("onnxruntime")
    assert raised.value.outcome is Outcome.UNSUPPORTED


def test_the_version_that_dies_on_the_board_is_refused_there_alone() -> None:
    with pytest.raises(RuntimeFailure, match="SIGILL"):
        check_version("1.21.0", "aarch64")
    check_version("1.21.0", "x86_64")
    check_version("1.23.2", "aarch64")
