"""Open inputs are fixed, by name or as an image, and nothing else is touched."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.agent.runtimes.tflite_files import relu

from hytnas_agent.runtimes.registry import create
from hytnas_host.export import ModelFileError
from hytnas_host.export.fixing import fix_onnx, fix_tflite
from hytnas_host.export.inspect import TensorInfo, inspect_onnx
from hytnas_host.export.shapes import WantedShapes, parse_shape

PATH = Path("net.onnx")


def network(
    shape: list | None, channels: int = 3, *, kind: int = TensorProto.FLOAT, first: str = "Conv"
) -> bytes:
    """A scaling, a convolution (or another operator, if ``first`` names one), and a pooling."""
    w = numpy_helper.from_array(np.zeros((4, channels, 3, 3), np.float32), "w")
    half = numpy_helper.from_array(np.float32(0.5), "half")
    nodes = [
        helper.make_node("Mul", ["x", "half"], ["scaled"]),
        helper.make_node(first, ["scaled", "w"][: 2 if first == "Conv" else 1], ["z"]),
        helper.make_node("GlobalAveragePool", ["z"], ["y"]),
    ]
    x, y = helper.make_tensor_value_info("x", kind, shape), helper.make_tensor_value_info("y", kind, None)
    graph = helper.make_graph(nodes, "g", [x], [y], [w, half])
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())


def shape_of(content: bytes, name: str = "x") -> list:
    model = onnx.load_model_from_string(content)
    value = next(value for value in (*model.graph.input, *model.graph.output) if value.name == name)
    return [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (["n", 3, "h", "w"], (1, 3, 64, 64)),
        ([None, 3, None, None], (1, 3, 64, 64)),
        ([1, 3, "side", "side"], (1, 3, 64, 64)),
        ([8, 3, 32, "w"], (8, 3, 32, 64)),
        (["n", "c", "h", "w"], (1, 3, 64, 64)),
        ([0, 3, 0, 0], (1, 3, 64, 64)),
        (None, (1, 3, 64, 64)),
    ],
)
def test_an_open_image_gets_the_resolution(shape: list | None, expected: tuple[int, ...]) -> None:
    fixed = fix_onnx(PATH, network(shape), WantedShapes(resolution=64))
    assert (fixed.names, fixed.shapes) == (("x",), {"x": expected})
    assert shape_of(fixed.content) == list(expected)
    assert shape_of(fixed.content, "y") == [expected[0], 4, 1, 1], "outputs follow"


def test_an_image_may_have_its_channels_last() -> None:
    content = network(["n", None, None, 3], first="Relu")
    fixed = fix_onnx(PATH, content, WantedShapes(resolution=64))
    assert fixed.shapes == {"x": (1, 64, 64, 3)}


@pytest.mark.parametrize(
    "content",
    [
        network(["n", 3, 8, 8]),
        network([1, 3, 8, 8]),
        network(["n", "length", 7], first="Relu"),
        network(["n", "c", "h", "w"], first="Relu"),
        network(None, first="Relu"),
        network(["n", 3, "h", "w"], kind=TensorProto.INT64),
        b"no model",
    ],
    ids=[
        "free batch",
        "static",
        "no image",
        "channels unknown",
        "nothing known",
        "whole numbers",
        "no model",
    ],
)
def test_what_is_fixed_or_no_image_stays_as_it_is(content: bytes) -> None:
    fixed = fix_onnx(PATH, content, WantedShapes(resolution=64))
    assert (fixed.content, fixed.shapes) == (content, {})


def test_named_shapes_fix_all_dimensions_of_that_name(tmp_path: Path) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "length"]) for name in "abc"]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "g", values[:2], values[2:])
    content = helper.make_model(graph).SerializeToString()
    fixed = fix_onnx(PATH, content, WantedShapes({"a": (1, 16)}, resolution=64))
    assert fixed.shapes == {"a": (1, 16)}
    path = tmp_path / "net.onnx"
    path.write_bytes(fixed.content)
    info = inspect_onnx(path)
    assert info.inputs[1] == TensorInfo("b", "int64", (1, 16))
    assert info.outputs[0].shape == (1, 16)
    offered = WantedShapes(offered={"a": (1, 16), "b": (1, 16)})
    assert fix_onnx(PATH, content, offered).shapes == {"a": (1, 16), "b": (1, 16)}
    assert fix_onnx(PATH, fixed.content, offered).shapes == {}


@pytest.mark.parametrize("shape", [(1, 3, 8), (1, 4, 8, 8)])
def test_a_shape_that_does_not_fit_is_an_error_that_names_it(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelFileError, match=r"net\.onnx cannot have the shape x:1,.*: (Rank|Can't)"):
        fix_onnx(PATH, network(["n", 3, "h", "w"]), WantedShapes({"x": shape}))


def relu_of(tmp_path: Path, *signature: int, shape: tuple[int, ...]) -> Path:
    path = tmp_path / "net.tflite"
    path.write_bytes(relu(signature=signature, shape=shape))
    return path


@pytest.mark.parametrize(
    ("signature", "wanted", "expected"),
    [
        ((1, -1), WantedShapes({"x": (1, 9)}), (1, 9)),
        ((1, -1), WantedShapes(offered={"x": (2, 9)}), None),
        ((-1, -1, -1, 3), WantedShapes(resolution=8), (1, 8, 8, 3)),
        ((), WantedShapes(offered={"x": (1, 9)}, resolution=8), ()),
        ((-1, 4), WantedShapes(resolution=8), ()),
    ],
    ids=["named", "does not fit", "image", "static", "free batch"],
)
def test_open_inputs_of_tflite_are_fixed_where_their_sizes_stand(
    tmp_path: Path, signature: tuple, wanted: WantedShapes, expected: tuple | None
) -> None:
    path = relu_of(tmp_path, *signature, shape=tuple(abs(size) for size in signature) or (1, 4))
    content = path.read_bytes()
    if expected is None:
        with pytest.raises(ModelFileError, match="dimension 1 is 1"):
            fix_tflite(path, content, wanted)
        return
    fixed = fix_tflite(path, content, wanted)
    assert fixed.names == ("x",)
    assert fixed.shapes == ({"x": expected} if expected else {})
    assert (fixed.content == content) == (not expected)
    if expected:
        path.write_bytes(fixed.content)
        model = create("ai-edge-litert").load(path, threads=1)
        assert model.inputs[0].shape == expected
        assert model.run([np.ones(expected, np.float32)])[0].shape == expected


def test_damaged_tflite_stays_as_it_is(tmp_path: Path) -> None:
    path = relu_of(tmp_path, 1, -1, shape=(1, 1))
    content = path.read_bytes()[:-4]
    path.write_bytes(content[:30])
    assert fix_tflite(path, content, WantedShapes({"x": (1, 9)})).content == content


def test_shapes_are_read_as_people_write_them() -> None:
    assert parse_shape("input:0:1,16") == ("input:0", (1, 16))
    for text in ("x", "x:", ":1,2", "x:1,a", "x:0,3", "x:1,-1"):
        with pytest.raises(ValueError, match="is no NAME:1,3"):
            parse_shape(text)
