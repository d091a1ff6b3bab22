import contextlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from hytnas_agent.records import Outcome
from hytnas_agent.runtimes.base import RuntimeFailure
from hytnas_agent.runtimes.precision import read_precision
from hytnas_agent.runtimes.tflite_file import TfliteFacts, read_tflite
from hytnas_agent.tflite_model import TfliteFileError

from .tflite_files import linear, relu, weight_only

WEIGHTS = np.arange(12, dtype=np.int8).reshape(3, 4)


@pytest.fixture
def save(tmp_path: Path):
    def write(content: bytes) -> Path:
        path = tmp_path / "model.tflite"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize(
    ("content", "precision", "dynamic_range"),
    [
        (relu(), "fp32", False),
        (linear(WEIGHTS.astype(np.float32)), "fp32", False),
        (linear(WEIGHTS, scale=0.1), "int8", True),
        (weight_only(WEIGHTS, scale=0.1), "int8", False),
    ],
    ids=["no weights", "floats", "dynamic range", "weights only"],
)
def test_the_precision_is_that_of_the_weights(
    save, content: bytes, precision: str, dynamic_range: bool
) -> None:
    path = save(content)
    assert read_tflite(path) == TfliteFacts(precision, dynamic_range)
    assert read_precision(path, "tflite") == precision


def test_it_is_said_which_of_several_signatures_is_measured(save) -> None:
    assert read_tflite(save(relu(signatures=("run",)))).remark == ""
    remark = read_tflite(save(relu(signatures=("encode", "decode", "end")))).remark
    assert remark == "the signature 'encode' is measured, not: 'decode', 'end'"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "too short"),
        (relu()[:20], "leads out of it"),
        (relu().replace(b"TFL3", b"TFL2"), "identifier"),
        (relu(schema=4), "schema version 4"),
        (linear(WEIGHTS.astype(np.float32)).replace(b"TFL3", b"TFL3", 1)[:-200], "damaged"),
    ],
)
def test_a_damaged_file_is_refused_with_the_reason(save, content: bytes, reason: str) -> None:
    with pytest.raises(TfliteFileError, match=reason):
        read_tflite(save(content))
    with pytest.raises(RuntimeFailure) as raised:
        read_precision(save(content), "tflite")
    assert raised.value.outcome is Outcome.INVALID_MODEL


def test_weights_behind_the_tables_must_be_there(save) -> None:
    whole = relu(outside=(512, 64))
    with pytest.raises(TfliteFileError, match="end of its weights"):
        read_tflite(save(whole))
    assert read_tflite(save(whole.ljust(576, b"\0"))).precision == "fp32"


@given(position=st.integers(0, 4000), value=st.binary(min_size=1, max_size=8), cut=st.integers(0, 40))
def test_no_damage_escapes_the_reader(tmp_path_factory, position: int, value: bytes, cut: int) -> None:
    content = bytearray(linear(WEIGHTS, scale=0.1))
    position %= len(content)
    content[position : position + len(value)] = value
    path = tmp_path_factory.mktemp("damaged") / "model.tflite"
    path.write_bytes(content[: len(content) - cut])
    with contextlib.suppress(TfliteFileError):
        assert read_tflite(path).precision in ("fp32", "fp16", "int8")


def test_a_quantised_onnx_file_is_known_by_its_operators(tmp_path: Path) -> None:
    def file_of(*nodes: onnx.NodeProto) -> Path:
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
        path = tmp_path / "model.onnx"
        onnx.save_model(helper.make_model(helper.make_graph(list(nodes), "graph", [x], [y])), path)
        return path

    assert read_precision(file_of(helper.make_node("Relu", ["x"], ["y"])), "onnx") == "fp32"
    quantise = helper.make_node("QuantizeLinear", ["x", "scale"], ["q"])
    back = helper.make_node("DequantizeLinear", ["q", "scale"], ["y"])
    assert read_precision(file_of(quantise, back), "onnx") == "int8"
