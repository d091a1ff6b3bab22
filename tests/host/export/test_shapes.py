"""Open inputs are fixed, by name or as an image, and nothing else is touched."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hytnas_host.export import ModelFileError
from hytnas_host.export.inspect import TensorInfo, inspect_onnx
from hytnas_host.export.shapes import WantedShapes, parse_shape, with_fixed_shapes

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
    fixed = with_fixed_shapes(PATH, network(shape), WantedShapes(resolution=64))
    assert (fixed.names, fixed.shapes) == (("x",), {"x": expected})
    assert shape_of(fixed.content) == list(expected)
    assert shape_of(fixed.content, "y") == [expected[0], 4, 1, 1], "outputs follow"


def test_an_image_may_have_its_channels_last() -> None:
    content = network(["n", None, None, 3], first="Relu")
    fixed = with_fixed_shapes(PATH, content, WantedShapes(resolution=64))
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
    fixed = with_fixed_shapes(PATH, content, WantedShapes(resolution=64))
    assert (fixed.content, fixed.shapes) == (content, {})


def test_named_shapes_fix_all_dimensions_of_that_name(tmp_path: Path) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "length"]) for name in "abc"]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "g", values[:2], values[2:])
    content = helper.make_model(graph).SerializeToString()
    fixed = with_fixed_shapes(PATH, content, WantedShapes({"a": (1, 16)}, resolution=64))
    assert fixed.shapes == {"a": (1, 16)}
    path = tmp_path / "net.onnx"
    path.write_bytes(fixed.content)
    info = inspect_onnx(path)
    assert info.inputs[1] == TensorInfo("b", "int64", (1, 16))
    assert info.outputs[0].shape == (1, 16)
    offered = WantedShapes(offered={"a": (1, 16), "b": (1, 16)})
    assert with_fixed_shapes(PATH, content, offered).shapes == {"a": (1, 16), "b": (1, 16)}
    assert with_fixed_shapes(PATH, fixed.content, offered).shapes == {}


@pytest.mark.parametrize("shape", [(1, 3, 8), (1, 4, 8, 8)])
def test_a_shape_that_does_not_fit_is_an_error_that_names_it(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelFileError, match=r"net\.onnx cannot have the shape x:1,.*: (Rank|Can't)"):
        with_fixed_shapes(PATH, network(["n", 3, "h", "w"]), WantedShapes({"x": shape}))


def test_shapes_are_read_as_people_write_them() -> None:
    assert parse_shape("input:0:1,16") == ("input:0", (1, 16))
    for text in ("x", "x:", ":1,2", "x:1,a", "x:0,3", "x:1,-1"):
        with pytest.raises(ValueError, match=r"is no NAME|invalid literal"):
            parse_shape(text)
