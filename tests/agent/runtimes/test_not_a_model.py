"""Files that are called like models are named for what they are."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hytnas_agent.runtimes import onnx_file
from hytnas_agent.runtimes.not_a_model import what_it_is

from .tflite_files import linear


def product() -> bytes:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 64]) for name in "xy")
    weights = numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weights])
    return bytes(helper.make_model(graph, producer_name="p").SerializeToString())


ONNX, TFLITE = product(), linear(np.ones((64, 64), np.float32))
NO_GRAPH = onnx.ModelProto(ir_version=8, producer_name="p").SerializeToString()
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (POINTER, "Git LFS pointer"),
        (b"\n<!DOCTYPE html><html><body>Not Found</body></html>", "a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page or XML"),
        (b"<HTML>", "a web page"),
        (b'{"error": "Repository not found"}', "it is text"),
        ("Zugriff verweigert für Benutzer".encode(), "it is text"),
        (b"PK\x03\x04\x14\x00" + bytes(50), "a ZIP archive"),
        (b"\x1f\x8b\x08\x00" + bytes(50), "compressed with gzip"),
        (b"\x80\x02}q\x00", "a Python pickle"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "an HDF5 file"),
        (b'\x40\x00\x00\x00\x00\x00\x00\x00{"__metadata__"', "weights alone"),
        (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", "macOS keeps beside"),
        (bytes(4096), "nothing but zeros"),
    ],
)
def test_what_is_no_model_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    for name in ("net.onnx", "net.tflite"):
        (tmp_path / name).write_bytes(content)
        assert words in what_it_is(tmp_path / name, name[4:])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (ONNX, ""),
        (ONNX + b"\xda\x01\x00", ""),
        (TFLITE, "name it .tflite"),
        (ONNX[: len(ONNX) // 2], "its end is missing"),
        (ONNX[:-1], "its end is missing"),
        (NO_GRAPH, "holds no graph"),
        (b"\xff\x01\x02\x03" * 50, "no ONNX model"),
        (bytes(range(256)) * 4, "no ONNX model"),
        (b"\xf8\x3f\x01" * 50, "no ONNX model"),
    ],
    ids=[
        "whole",
        "of later versions",
        "tflite",
        "half",
        "cut",
        "no graph",
        "numbers",
        "bytes",
        "other fields",
    ],
)
def test_a_file_that_is_called_onnx_is_looked_into(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    found = what_it_is(path, "onnx")
    assert words in found
    assert bool(found) == bool(words)


def test_a_file_that_is_called_tflite_may_be_one_of_onnx(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(ONNX)
    assert "name it .onnx" in what_it_is(path, "tflite")
    for beginning in (b"", b"\x80\x02\0\0", b"\x1f\x8b\0\0"):
        path.write_bytes(beginning + TFLITE[len(beginning) :])
        assert what_it_is(path, "tflite") == ""


@pytest.mark.parametrize(
    ("add", "shallow"),
    [
        (lambda model: model.opset_import.add(), True),
        (lambda model: model.graph.initializer.add(), False),
        (lambda model: model.graph.node[0].attribute.add(), False),
        (lambda model: model.graph.input[0].type.tensor_type.shape.dim.add(), False),
        (lambda model: model.graph.node[0].input.append(""), False),
    ],
    ids=["opsets", "weights", "attributes", "dimensions", "inputs"],
)
def test_too_many_tiny_fields_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, add, shallow
) -> None:
    monkeypatch.setattr(onnx_file, "MAX_FIELDS", 100)
    path = tmp_path / "net.onnx"
    path.write_bytes(ONNX)
    assert not onnx_file.has_too_many_fields(path)
    model = onnx.load_model_from_string(ONNX)
    for _ in range(1000):
        add(model)
    path.write_bytes(model.SerializeToString())
    assert onnx_file.has_too_many_fields(path)
    assert what_it_is(path, "onnx") == (onnx_file.TOO_MANY_FIELDS if shallow else "")
