"""The bundled runtimes run through the suite that ships with the agent, wherever their package is installed.

In most environments that is onnxruntime and ai-edge-litert; tflite-runtime cannot be installed beside numpy 2
and goes through this suite in an environment of its own (make test-tflite).
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from hytnas_agent.conformance import SuiteCheck
from hytnas_agent.records import Outcome
from hytnas_agent.runtimes.base import RuntimeEntry, RuntimeFailure, TensorSpec, fix_shape
from hytnas_agent.runtimes.conformance import (
    CHECKS,
    check_it_is_found_by_its_format,
    check_it_runs_a_model_and_again_the_same,
    check_its_outputs_follow_its_inputs,
)
from hytnas_agent.runtimes.registry import RUNTIMES, candidates, create

HERE = [name for name in RUNTIMES.bundled if importlib.util.find_spec(name.replace("-", "_"))]
PROFILERS = {"onnxruntime"}


def test_there_is_a_runtime_to_test() -> None:
    assert HERE


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("check", CHECKS)
def test_it_conforms(check: SuiteCheck, name: str, tmp_path: Path) -> None:
    check(name, tmp_path)


@pytest.mark.parametrize("name", HERE)
def test_onnxruntime_alone_times_operators(name: str, tmp_path: Path) -> None:
    runtime = create(name)
    path = tmp_path / f"tiny.{RUNTIMES.get(name).formats[0]}"
    path.write_bytes(runtime.tiny_model)
    if name in PROFILERS:
        assert runtime.load_profiled(path, threads=1, folder=tmp_path)
    else:
        with pytest.raises(RuntimeFailure, match="does not time operators"):
            runtime.load_profiled(path, threads=1, folder=tmp_path)


def test_a_runtime_that_does_not_run_the_format_is_refused() -> None:
    with pytest.raises(RuntimeFailure, match="known: onnxruntime") as raised:
        list(candidates("onnx", "abacus"))
    assert raised.value.outcome is Outcome.UNSUPPORTED


def test_a_free_batch_is_one_and_other_free_axes_are_refused() -> None:
    assert fix_shape("x", ["n", 3, 8]) == (1, 3, 8)
    assert fix_shape("x", [None, 3]) == (1, 3)
    assert fix_shape("x", []) == ()
    with pytest.raises(RuntimeFailure, match="width") as raised:
        fix_shape("x", ["n", 3, "width"])
    assert raised.value.outcome is Outcome.UNSUPPORTED


class Idle:
    """A runtime and its model in one: it gives zeros, whatever it is given."""

    tiny_model = b""
    inputs = (TensorSpec("x", (1, 4), "float32"),)

    def load(self, path: Path, *, threads: int) -> "Idle":
        return self

    def run(self, tensors: list[np.ndarray]) -> list[np.ndarray]:
        return [np.zeros_like(tensor) for tensor in tensors]


def test_a_runtime_that_computes_nothing_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("json.JSONDecoder", Idle)
    entry = RuntimeEntry("json:JSONDecoder", "idle", ("onnx",))
    monkeypatch.setitem(RUNTIMES._loaded, "onnxruntime", entry)
    check_it_is_found_by_its_format("onnxruntime", tmp_path)
    with pytest.raises(AssertionError, match="Arrays are not equal"):
        check_it_runs_a_model_and_again_the_same("onnxruntime", tmp_path)
    with pytest.raises(AssertionError, match="inputs of 1 and of 2 give the same output"):
        check_its_outputs_follow_its_inputs("onnxruntime", tmp_path)
