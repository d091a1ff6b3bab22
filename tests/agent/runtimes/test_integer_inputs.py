"""Made-up whole numbers stay where the graph wants them."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from hytnas_agent.runtimes.integer_inputs import Range, read_ranges

from .tflite_files import gather, relu


def saved(path: Path, nodes: list, weights: dict[str, np.ndarray]) -> Path:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


TABLE = {"table": np.zeros((1, 7), np.float32)}
CONSTANT = helper.make_node("Constant", [], ["table"], value=numpy_helper.from_array(TABLE["table"]))
SUM = helper.make_node("Add", ["ids", "ids"], ["sum"])
SHIFTED = [
    helper.make_node("Cast", ["ids"], ["cast"], to=TensorProto.INT32),
    helper.make_node("Unsqueeze", ["cast", "axes"], ["wide"]),
    helper.make_node("Gather", ["table", "wide"], ["y"], axis=1),
]


@pytest.mark.parametrize(
    ("nodes", "weights", "expected"),
    [
        ([helper.make_node("Gather", ["table", "ids"], ["y"])], TABLE, Range(0, 1)),
        ([helper.make_node("Gather", ["table", "ids"], ["y"], axis=-1)], TABLE, Range(0, 7)),
        ([CONSTANT, helper.make_node("Gather", ["table", "ids"], ["y"])], {}, Range(0, 1)),
        (SHIFTED, TABLE, Range(0, 7)),
        ([helper.make_node("Div", ["seven", "ids"], ["y"])], {}, Range(low=1)),
        ([helper.make_node("Mod", ["ids", "ids"], ["y"])], {}, Range(low=1)),
        (
            [
                helper.make_node("Concat", ["ids", "ids"], ["both"], axis=0),
                helper.make_node("Gather", ["table", "both"], ["z"], axis=1),
                helper.make_node("Div", ["z", "both"], ["y"]),
            ],
            TABLE,
            Range(1, 7),
        ),
        ([SUM, helper.make_node("Div", ["a", "sum"], ["y"])], {}, None),
        ([helper.make_node("Gather", ["unknown", "ids"], ["y"])], {}, None),
    ],
    ids=["rows", "axis", "constant", "followed", "divisor", "modulus", "both", "computed", "unknown rows"],
)
def test_the_graph_shows_the_range(
    tmp_path: Path, nodes: list, weights: dict, expected: Range | None
) -> None:
    assert read_ranges(saved(tmp_path / "m.onnx", nodes, weights), "onnx").get("ids") == expected


def test_a_tflite_graph_shows_it_too(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(gather(rows=3))
    assert read_ranges(path, "tflite") == {"ids": Range(0, 3)}
    path.write_bytes(relu())
    assert read_ranges(path, "tflite") == {}


@pytest.mark.parametrize("model_format", ["onnx", "tflite"])
def test_of_what_cannot_be_read_nothing_is_known(tmp_path: Path, model_format: str) -> None:
    path = tmp_path / "damaged"
    assert read_ranges(path, model_format) == {}
    rng = np.random.default_rng(0)
    whole = gather(rows=3) if model_format == "tflite" else saved(path, SHIFTED, TABLE).read_bytes()
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        read_ranges(path, model_format)
