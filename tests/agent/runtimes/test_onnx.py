import importlib.metadata
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hytnas_agent.records import Outcome, Reference
from hytnas_agent.runtimes.base import RuntimeFailure
from hytnas_agent.runtimes.onnx import OnnxRuntime, check_version
from hytnas_agent.runtimes.registry import create
from hytnas_agent.worker.tensors import ParityFailure, check_parity


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
    assert "::" not in raised.value.what, "nothing of where in its source the runtime found it"


def test_a_corrupt_file_is_an_invalid_model(models) -> None:
    with pytest.raises(RuntimeFailure) as raised:
        OnnxRuntime().load(models.corrupt, threads=1)
    assert raised.value.outcome is Outcome.INVALID_MODEL


def ended(node: onnx.NodeProto, output: onnx.ValueInfoProto, domain: str = "") -> bytes:
    """A model of one operator that reads x, of shape 1 x 4."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    opsets = [helper.make_opsetid("", 21), *([helper.make_opsetid(domain, 1)] if domain else ())]
    graph = helper.make_graph([node], "g", [x], [output])
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


def cast_to(kind: int) -> bytes:
    output = helper.make_tensor_value_info("y", kind, [1, 4])
    return ended(helper.make_node("Cast", ["x"], ["y"], to=kind), output)


FLOATS = helper.make_tensor_type_proto(TensorProto.FLOAT, None)


@pytest.mark.parametrize(
    "content",
    [
        cast_to(TensorProto.BFLOAT16),
        cast_to(TensorProto.INT4),
        ended(
            helper.make_node("SplitToSequence", ["x"], ["y"], axis=1),
            helper.make_value_info("y", helper.make_sequence_type_proto(FLOATS)),
        ),
        ended(
            helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2, 3]),
            helper.make_value_info(
                "y",
                helper.make_sequence_type_proto(
                    helper.make_map_type_proto(
                        TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
                    )
                ),
            ),
            "ai.onnx.ml",
        ),
    ],
    ids=["bfloat16", "int4", "sequence", "maps"],
)
def test_outputs_that_numpy_lacks_are_computed_and_not_converted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    model = OnnxRuntime().load(path, threads=1)
    for _ in range(2):
        (output,) = model.run([np.ones((1, 4), np.float32)])
        assert not isinstance(output, np.ndarray | list)
    with pytest.raises(ParityFailure, match="cannot be compared"):
        check_parity(model, [[]], [np.ones((1, 4))], Reference("a", "b", 1.0), first=[output])


@pytest.mark.parametrize(("shape", "reason"), [(None, "has no shape"), ([0, 4], "has a dimension of 0 ")])
def test_an_input_without_a_shape_or_of_no_elements_is_unsupported(
    tmp_path: Path, shape: list[int] | None, reason: str
) -> None:
    x, y, z = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xyz")
    scalar = helper.make_tensor_value_info("s", TensorProto.FLOAT, [])
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Add", ["x", "s"], ["z"])]
    graph = helper.make_graph(nodes, "g", [scalar, x], [y, z])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(RuntimeFailure, match=f"input 'x' {reason}") as raised:
        OnnxRuntime().load(tmp_path / "m.onnx", threads=1)
    assert raised.value.outcome is Outcome.UNSUPPORTED


def test_an_input_that_is_no_tensor_is_unsupported_for_its_type(tmp_path: Path) -> None:
    x = helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None)
    y = helper.make_tensor_value_info("y", TensorProto.INT64, [])
    graph = helper.make_graph([helper.make_node("SequenceLength", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(RuntimeFailure, match=r"input 'x' has the type seq\(") as raised:
        OnnxRuntime().load(tmp_path / "m.onnx", threads=1)
    assert raised.value.outcome is Outcome.UNSUPPORTED


def test_a_message_names_no_path_of_the_device(models) -> None:
    with pytest.raises(RuntimeFailure) as raised:
        OnnxRuntime().load(models.corrupt, threads=1)
    assert str(models.corrupt.parent) not in raised.value.what
    assert "ONNXRuntimeError" not in raised.value.what


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
