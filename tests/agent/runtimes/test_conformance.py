"""What every runtime must do. A new entry of RUNTIMES joins by itself wherever its package is installed.

In most environments that is onnxruntime and ai-edge-litert; tflite-runtime cannot be installed beside numpy 2
and goes through this suite in an environment of its own (make test-tflite).
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from hytnas_agent.records import Outcome
from hytnas_agent.runtimes.base import RUNTIMES, RuntimeFailure, candidates, create, fix_shape
from hytnas_agent.runtimes.probe import probe_runtime

HERE = [name for name in RUNTIMES if importlib.util.find_spec(name.replace("-", "_"))]
PROFILERS = {"onnxruntime"}


@pytest.fixture(params=HERE)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def tiny(name: str, tmp_path: Path) -> Path:
    path = tmp_path / f"tiny.{RUNTIMES[name].formats[0]}"
    path.write_bytes(create(name).tiny_model)
    return path


def test_there_is_a_runtime_to_test() -> None:
    assert HERE


def test_a_throw_away_process_finds_it_usable(name: str) -> None:
    info = probe_runtime(name)
    assert info.usable, info.reason
    assert info.name == name
    assert info.formats == RUNTIMES[name].formats
    assert info.version


@pytest.mark.parametrize("threads", [1, 2])
def test_it_runs_a_model_and_again_the_same(name: str, tiny: Path, threads: int) -> None:
    model = create(name).load(tiny, threads=threads)
    inputs = [np.full(spec.shape, 2, spec.dtype) for spec in model.inputs]
    first, again = model.run(list(inputs)), model.run(list(inputs))
    assert len(first) == 1
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[0], inputs[0])


def test_its_outputs_follow_its_inputs(name: str, tiny: Path) -> None:
    model = create(name).load(tiny, threads=1)
    one, two = ([np.full(spec.shape, value, spec.dtype) for spec in model.inputs] for value in (1, 2))
    assert not np.array_equal(model.run(one)[0], model.run(two)[0])


def test_it_times_operators_or_says_that_it_cannot(name: str, tiny: Path, tmp_path: Path) -> None:
    runtime = create(name)
    if name not in PROFILERS:
        with pytest.raises(RuntimeFailure, match="does not time operators") as raised:
            runtime.load_profiled(tiny, threads=1, folder=tmp_path)
        assert raised.value.outcome is Outcome.UNSUPPORTED
        return
    model = runtime.load_profiled(tiny, threads=1, folder=tmp_path)
    inputs = [np.full(spec.shape, 2, spec.dtype) for spec in model.inputs]
    for _ in range(3):
        np.testing.assert_array_equal(model.run(list(inputs))[0], inputs[0])
    profile = model.end_profile(skip_runs=1)
    assert profile.runs == 2
    assert profile.operators
    assert profile.kernel_ms <= profile.run_ms


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", bytes(range(256)) * 64])
def test_a_file_that_is_no_model_is_invalid(name: str, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / f"garbage.{RUNTIMES[name].formats[0]}"
    path.write_bytes(content)
    with pytest.raises(RuntimeFailure) as raised:
        create(name).load(path, threads=1).run([])
    assert raised.value.outcome is Outcome.INVALID_MODEL
    assert "\n" not in raised.value.what


def test_it_is_found_by_its_format(name: str) -> None:
    for model_format in RUNTIMES[name].formats:
        assert name in candidates(model_format)
        assert candidates(model_format, name) == [name]


def test_a_runtime_that_does_not_run_the_format_is_refused() -> None:
    with pytest.raises(RuntimeFailure, match="known: onnxruntime") as raised:
        candidates("onnx", "abacus")
    assert raised.value.outcome is Outcome.UNSUPPORTED


def test_a_free_batch_is_one_and_other_free_axes_are_refused() -> None:
    assert fix_shape("x", ["n", 3, 8]) == (1, 3, 8)
    assert fix_shape("x", [None, 3]) == (1, 3)
    assert fix_shape("x", []) == ()
    with pytest.raises(RuntimeFailure, match="width") as raised:
        fix_shape("x", ["n", 3, "width"])
    assert raised.value.outcome is Outcome.UNSUPPORTED
