"""The precision of ONNX files that the onnx package wrote, and of damaged ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hytnas_agent.runtimes import onnx_file
from hytnas_agent.runtimes.onnx_file import FLOAT16, element_types
from hytnas_agent.runtimes.precision import read_precision

# The bytes that say FLOAT16 in a type, where they say nothing: in the weights.
LOOK_ALIKE = np.frombuffer(b"\x10\x0a" * 64, dtype=np.float32)


def model(
    *, weights: np.ndarray = LOOK_ALIKE, type_of_x: int = TensorProto.FLOAT, constant: np.ndarray = LOOK_ALIKE
) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(constant, "c")),
        helper.make_node("Cast", ["w"], ["v"], to=TensorProto.FLOAT16),
        helper.make_node("Relu", ["x"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", type_of_x, [1, 4])],
        [helper.make_tensor_value_info("y", type_of_x, [1, 4])],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph)


@pytest.fixture
def save(tmp_path: Path) -> Callable[[bytes], Path]:
    def save(content: bytes) -> Path:
        path = tmp_path / "model.onnx"
        path.write_bytes(content)
        return path

    return save


@pytest.mark.parametrize(
    ("made", "precision"),
    [
        (model(), "fp32"),
        (model(weights=np.zeros(4, np.float16)), "fp16"),
        (model(type_of_x=TensorProto.FLOAT16), "fp16"),
        (model(constant=np.zeros(4, np.float16)), "fp16"),
    ],
    ids=["float32", "weights", "input", "constant"],
)
def test_16_bits_are_told_from_32(save, made: onnx.ModelProto, precision: str) -> None:
    assert read_precision(save(made.SerializeToString()), "onnx") == precision


def test_the_types_are_those_that_onnx_reads(save) -> None:
    made = model(weights=np.zeros(3, np.int64), constant=np.zeros(4, np.float16))
    path = save(made.SerializeToString())
    assert element_types(path) == {TensorProto.INT64, TensorProto.FLOAT16, TensorProto.FLOAT}
    assert FLOAT16 == TensorProto.FLOAT16


def test_many_tiny_fields_are_not_read_for_ever(save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "MAX_FIELDS", 1000)
    with_type = model(weights=np.zeros(4, np.float16)).SerializeToString()
    assert element_types(save(b"\x08\x01" * 1000 + with_type)) == set()
    assert element_types(save(b"\x08\x01" * 100 + with_type)) >= {FLOAT16}


def test_a_damaged_file_is_left_to_the_runtime(save) -> None:
    rng = np.random.default_rng(0)
    whole = model(weights=np.zeros(4, np.float16)).SerializeToString()
    assert element_types(save(b"")) == set()
    for length in range(len(whole)):
        element_types(save(whole[:length]))
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        assert read_precision(save(bytes(damaged)), "onnx") in ("fp32", "fp16", "int8")
