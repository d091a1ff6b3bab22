import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hytnas_host.export import ModelFileError, inspect_onnx


def model(*, nodes=None, dims=("batch", 4), initializers=()):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, dims)
    nodes = [helper.make_node("Relu", ["x"], ["y"])] if nodes is None else nodes
    graph = helper.make_graph(nodes, "graph", [x], [y], initializer=list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="by hand")


def write(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


def test_a_hand_made_model_is_read(tmp_path):
    weight = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    path = write(
        tmp_path, model(nodes=[helper.make_node("MatMul", ["x", "w"], ["y"])], initializers=[weight])
    )
    info = inspect_onnx(path)
    assert info.inputs[0].name == "x"
    assert info.inputs[0].dtype == "float32"
    assert info.inputs[0].shape == (None, 4)
    assert (info.opset, info.producer, info.nodes, info.params) == (17, "by hand", 1, 16)
    assert info.size_bytes == path.stat().st_size


def empty_graph(name: str) -> bytes:
    """A file that may be a model, as far as its outermost fields say."""
    return onnx.ModelProto(ir_version=8, graph=onnx.GraphProto(name=name)).SerializeToString()


@pytest.mark.parametrize("content", [b"not a model", b"\x08", b"\xff" * 1000])
def test_garbage_is_no_model(tmp_path, content):
    with pytest.raises(ModelFileError, match=r"model\.onnx cannot be used: it is (text|no ONNX model)"):
        inspect_onnx(write(tmp_path, content))


def test_an_empty_file_holds_no_graph(tmp_path):
    with pytest.raises(ModelFileError, match="it is empty"):
        inspect_onnx(write(tmp_path, b""))
    with pytest.raises(ModelFileError, match="holds no ONNX graph"):
        inspect_onnx(write(tmp_path, empty_graph("a")))


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.95])
def test_a_cut_file_is_refused(tmp_path, keep):
    weight = numpy_helper.from_array(np.ones((4, 400), np.float32), "w")
    whole = model(initializers=[weight]).SerializeToString()
    with pytest.raises(ModelFileError):
        inspect_onnx(write(tmp_path, whole[: int(len(whole) * keep)]))


def test_a_model_that_breaks_the_rules_of_onnx_is_refused(tmp_path):
    dangling = model(nodes=[helper.make_node("Relu", ["nowhere"], ["y"])])
    with pytest.raises(ModelFileError, match="is not a valid ONNX model"):
        inspect_onnx(write(tmp_path, dangling))
    unknown = model(nodes=[helper.make_node("Teleport", ["x"], ["y"])])
    with pytest.raises(ModelFileError, match="is not a valid ONNX model"):
        inspect_onnx(write(tmp_path, unknown))


def test_inputs_that_are_no_tensors_are_refused(tmp_path):
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)
    at = helper.make_node("SequenceAt", ["s", "i"], ["y"])
    index = numpy_helper.from_array(np.array(0), "i")
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, (4,))
    graph = helper.make_graph([at], "graph", [sequence], [y], initializer=[index])
    with pytest.raises(ModelFileError, match="'s' is not a tensor"):
        inspect_onnx(write(tmp_path, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])))


def test_size_and_absence_are_said_so(tmp_path):
    path = write(tmp_path, model())
    with pytest.raises(ModelFileError, match="more than the 10 allowed"):
        inspect_onnx(path, max_bytes=10)
    with pytest.raises(ModelFileError, match="cannot be read: No such file"):
        inspect_onnx(tmp_path / "absent.onnx")
