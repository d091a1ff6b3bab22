"""What is peculiar to the TFLite runtimes; what they share with all is in the conformance suite."""

import importlib.metadata
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from hytnas_agent.records import Outcome
from hytnas_agent.runtimes.base import RuntimeFailure
from hytnas_agent.runtimes.registry import RUNTIMES, create
from hytnas_agent.runtimes.tflite import TINY_MODEL, TfliteRuntime

from .tflite_files import BFLOAT16, INT4, INT8, cast, custom, linear, relu, unknown_operator

HERE = [
    name
    for name in RUNTIMES.bundled
    if "tflite" in RUNTIMES.get(name).formats and importlib.util.find_spec(name.replace("-", "_"))
]


@pytest.fixture(params=HERE)
def runtime(request: pytest.FixtureRequest):
    return create(request.param)


@pytest.fixture
def save(tmp_path: Path):
    def write(content: bytes) -> Path:
        path = tmp_path / "model.tflite"
        path.write_bytes(content)
        return path

    return write


def test_a_tflite_runtime_is_tested_here() -> None:
    assert HERE


def test_the_tiny_model_is_one_relu() -> None:
    assert relu() == TINY_MODEL


def test_the_build_says_that_xnnpack_computes(runtime) -> None:
    assert "XNNPACK" in runtime.info().build


def test_ends_of_8_bits_are_taken_and_given_as_integers(runtime, save) -> None:
    model = runtime.load(save(relu(kind=INT8)), threads=1)
    assert model.inputs[0].dtype == "int8"
    (output,) = model.run([np.array([[-3, 0, 5, 7]], np.int8)])
    assert output.dtype == np.int8
    assert output.tolist() == [[0, 0, 5, 7]]


def test_outputs_outlive_the_next_run(runtime, save) -> None:
    model = runtime.load(save(relu()), threads=1)
    first = model.run([np.full((1, 4), 1, np.float32)])[0]
    model.run([np.full((1, 4), 2, np.float32)])
    assert first.tolist() == [[1, 1, 1, 1]]


def test_a_free_batch_is_one_and_other_free_axes_are_refused(runtime, save) -> None:
    model = runtime.load(save(relu(signature=(-1, 4))), threads=1)
    assert model.inputs[0].shape == (1, 4)
    with pytest.raises(RuntimeFailure, match="static shapes") as raised:
        runtime.load(save(relu(signature=(1, -1))), threads=1)
    assert raised.value.outcome is Outcome.UNSUPPORTED


@pytest.mark.parametrize("kind", [INT4, BFLOAT16])
def test_outputs_that_numpy_lacks_are_computed_and_not_converted(runtime, save, kind: int) -> None:
    ones = [np.ones((1, 4), np.float32)]
    if isinstance(
        runtime, TfliteRuntime
    ):  # older than operators of these types: it loads some, and runs none
        with pytest.raises(RuntimeFailure) as raised:
            runtime.load(save(cast(kind)), threads=1).run(ones)
        assert raised.value.outcome is Outcome.UNSUPPORTED
        return
    assert runtime.load(save(cast(kind)), threads=1).run(ones) == []


def test_an_input_that_numpy_lacks_and_one_of_no_elements_are_unsupported(runtime, save) -> None:
    for content in (relu(kind=BFLOAT16), relu(shape=(0, 4))):
        with pytest.raises(RuntimeFailure) as raised:
            runtime.load(save(content), threads=1)
        assert raised.value.outcome is Outcome.UNSUPPORTED, raised.value.what


@pytest.mark.parametrize(
    "content",
    [custom("Abacus"), relu(version=99), unknown_operator(500)],
    ids=["custom", "newer version", "newer operator"],
)
def test_an_operator_it_does_not_know_is_unsupported(runtime, save, content: bytes) -> None:
    with pytest.raises(RuntimeFailure) as raised:
        runtime.load(save(content), threads=1)
    assert raised.value.outcome is Outcome.UNSUPPORTED, raised.value.what


def test_an_input_of_another_shape_is_a_failure_with_a_message(runtime, save) -> None:
    model = runtime.load(save(relu()), threads=1)
    with pytest.raises(RuntimeFailure, match="could not run") as raised:
        model.run([np.zeros((1, 5), np.float32)])
    assert raised.value.outcome is Outcome.INVALID_MODEL


def test_dynamic_range_is_computed_or_refused_by_what_is_known_of_the_runtime(runtime, save) -> None:
    weights = np.array([[127, 0, 0, 0], [0, 127, 0, 0]], np.int8)
    path = save(linear(weights, scale=1 / 127))
    if isinstance(runtime, TfliteRuntime):
        with pytest.raises(RuntimeFailure, match="wrongly without saying so") as raised:
            runtime.load(path, threads=1)
        assert raised.value.outcome is Outcome.UNSUPPORTED
    else:
        (output,) = runtime.load(path, threads=1).run([np.array([[1, 2, 3, 4]], np.float32)])
        np.testing.assert_allclose(output, [[1, 2]], rtol=0.02)


def test_tflite_runtime_is_refused_beside_numpy_2_before_it_is_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.14.0")
    monkeypatch.setattr(np, "__version__", "2.4.6")
    monkeypatch.setattr(importlib, "import_module", lambda name: pytest.fail(f"{name} was imported"))
    with pytest.raises(RuntimeFailure, match=r"hytnas\[tflite\]") as raised:
        TfliteRuntime()
    assert raised.value.outcome is Outcome.UNSUPPORTED
