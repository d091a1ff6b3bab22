"""Weights in files beside an ONNX file: taken in, and nothing from outside of its folder."""

import os

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from hytnas_host.export import ModelFileError, inspect_onnx
from hytnas_host.export.external import packed

WEIGHTS = np.arange(64, dtype=np.float32).reshape(8, 8)


def product(weights=WEIGHTS):
    """A matrix product whose weights are an initializer, and a constant in an attribute."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in "xy")
    nodes = [
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.ones((1, 8), np.float32))),
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("Add", ["p", "c"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def save_apart(path, weights=WEIGHTS):
    """As PyTorch's exporter writes it."""
    onnx.save_model(
        product(weights),
        path,
        save_as_external_data=True,
        location=f"{path.name}.data",
        size_threshold=0,
        convert_attribute=True,
    )
    return path


def pointing_to(path, location, **entry):
    model = product()
    set_external_data(model.graph.initializer[0], location)
    for key, value in entry.items():
        model.graph.initializer[0].external_data.add(key=key, value=str(value))
    model.graph.initializer[0].ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    return path


def test_the_packed_model_computes_the_same_without_its_data_file(tmp_path):
    path = save_apart(tmp_path / "net.onnx")
    content = packed(path)
    os.remove(tmp_path / "net.onnx.data")
    row = np.ones((1, 8), np.float32)
    (found,) = onnxruntime.InferenceSession(content).run(None, {"x": row})
    np.testing.assert_allclose(found, row @ WEIGHTS + 1)


def test_the_identity_covers_the_weights(tmp_path):
    one, other = (save_apart(tmp_path / name, WEIGHTS + n) for n, name in enumerate(("a.onnx", "b.onnx")))
    (tmp_path / "again").mkdir()
    again = save_apart(tmp_path / "again" / "a.onnx")
    assert inspect_onnx(one).sha256 != inspect_onnx(other).sha256
    assert inspect_onnx(one).sha256 == inspect_onnx(again).sha256
    assert inspect_onnx(one).params == 64


def test_a_whole_model_and_what_is_none_stay_as_they_are(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(product().SerializeToString())
    assert packed(path) is None
    path.write_bytes(b"\xff" * 100)
    assert packed(path) is None


@pytest.mark.parametrize(
    "location", ["/etc/hostname", "../secret", "sub/../../secret", "C:secret", "", "link"]
)
def test_nothing_is_read_outside_of_the_folder(tmp_path, location):
    (tmp_path / "secret").write_bytes(bytes(1024))
    inside = tmp_path / "inside"
    inside.mkdir()
    os.symlink(tmp_path / "secret", inside / "link")
    with pytest.raises(ModelFileError, match=r"out(side)? of its folder"):
        packed(pointing_to(inside / "net.onnx", location))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"length": 256}, "too short"),
        ({"offset": 60, "length": 8}, "too short"),
        ({"offset": -4}, "damaged entry"),
        ({"length": "many"}, "damaged entry"),
    ],
)
def test_a_damaged_entry_is_said_so(tmp_path, entry, reason):
    (tmp_path / "data").write_bytes(bytes(64))
    with pytest.raises(ModelFileError, match=reason):
        packed(pointing_to(tmp_path / "net.onnx", "data", **entry))


def test_absent_data_a_pipe_and_a_folder_are_said_so(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for location, reason in (("gone", "No such file"), ("pipe", "no regular file"), ("folder", "directory")):
        with pytest.raises(ModelFileError, match=f"weights in {location}, which cannot be read: .*{reason}"):
            packed(pointing_to(tmp_path / "net.onnx", location))


def test_data_that_many_tensors_share_count_for_each(tmp_path):
    path = save_apart(tmp_path / "net.onnx")
    model = onnx.load_model(path, load_external_data=False)
    for n in range(10):
        model.graph.initializer.add().CopyFrom(model.graph.initializer[0])
        model.graph.initializer[-1].name = f"w{n}"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match="more bytes than is allowed"):
        packed(path, max_bytes=path.stat().st_size + 9 * 256)
