"""`predict FILE`: any ONNX or TFLite file, its operators named where no label stands for them."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import get_space
from hytnas_host.cli.app import app
from hytnas_host.export.onnx_export import convert_onnx
from hytnas_host.models import build_network

from ...agent.runtimes.tflite_files import linear

SET = "bundled:hyt-icount-a53"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    invoke("train", "--study", str(folder), "--data", SET, "--predictor", "layerwise")
    return str(folder)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A convolution, a normalisation that no kind stands for, a pooling."""
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 8, s, s))
        for name, s in (("x", 16), ("y", 8))
    )
    kernel = numpy_helper.from_array(np.ones((8, 8, 3, 3), np.float32), "k")
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("LRN", ["c"], ["l"], name="lrn1", size=3),
        helper.make_node("MaxPool", ["l"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], [kernel]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )
    path = tmp_path_factory.mktemp("files") / "stranger.onnx"
    onnx.save(model, path)
    return path


def invoke(*arguments, status=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result.output


def test_an_export_is_predicted_like_its_architecture(study, tmp_path):
    space = get_space("hyt")
    architecture = space.sample(1, np.random.default_rng(3))[0]
    plan = build_plan(architecture, Task(resolution=224))
    network = build_network(plan, rng=np.random.default_rng(0)).eval()
    path = tmp_path / "mine.onnx"
    path.write_bytes(convert_onnx(network, plan).content)
    (of_id,) = json.loads(invoke("predict", space.format(architecture), "--study", study, "--json"))
    (of_file,) = json.loads(invoke("predict", path, "--study", study, "--json"))
    assert of_file.pop("file") == str(path)
    assert (of_file.pop("unseen"), of_file.pop("unknown")) == ({}, [])
    assert of_file["execution"] == of_id["execution"] == "instruction_count"
    assert of_file["latency_ms"] == pytest.approx(of_id["latency_ms"], rel=1e-12)
    assert of_file["std"] == pytest.approx(of_id["std"], rel=1e-12)


def test_operators_without_labels_are_named(study, stranger):
    text = " ".join(invoke("predict", stranger, "--study", study).split())
    assert "instruction-count latency" in text
    assert "No label of the training has the kind of operator window_pool: charged like depthwise." in text
    assert (
        "stranger.onnx holds operators that are not known, and charged nothing: 1 LRN (first: lrn1)." in text
    )
    (row,) = json.loads(invoke("predict", stranger, "--study", study, "--json"))
    assert row["unseen"] == {"window_pool": "depthwise"}
    assert row["unknown"] == [{"name": "lrn1", "operator": "LRN"}]
    assert row["extrapolated"]


def test_a_prediction_is_taken_apart_by_operators(study, stranger):
    text = " ".join(invoke("predict", "--explain", stranger, "--study", study).split())
    assert "the dearest operators of stranger.onnx" in text
    assert "charged like depthwise" in text
    found = json.loads(invoke("predict", "--explain", stranger, "--study", study, "--json"))
    assert [(node["operator"], node["kind"], node["like"]) for node in found["nodes"]] == [
        ("Conv", "spatial", "spatial"),
        ("MaxPool", "window_pool", "depthwise"),
    ]
    assert sum(node["cost"] for node in found["nodes"]) == pytest.approx(found["summed"])
    assert found["summed"] * found["factor"] == pytest.approx(found["prediction"]["mean"])


def test_files_of_another_format_are_refused_unless_forced(study, tmp_path):
    path = tmp_path / "other.tflite"
    path.write_bytes(linear(np.ones((3, 4), np.float32)))
    text = " ".join(invoke("predict", path, "--study", study, status=1).split())
    assert "the files are tflite fp32, and the predictor was fitted to labels of onnx fp32" in text
    (row,) = json.loads(invoke("predict", path, "--study", study, "--force", "--json"))
    assert row["latency_ms"] > 0


def test_ids_and_files_are_not_mixed(study, stranger):
    assert "give ids or model files" in invoke("predict", "hyt-x", stranger, "--study", study, status=2)


def test_a_predictor_that_sums_nothing_is_refused(stranger, tmp_path):
    invoke("train", "--study", tmp_path, "--data", SET, "--predictor", "lightgbm")
    text = " ".join(invoke("predict", stranger, "--study", tmp_path, status=1).split())
    assert "hytnas-profile train --predictor layerwise" in text


def test_a_study_without_a_predictor_says_how_to_get_one(stranger, tmp_path):
    assert "hytnas-profile train" in invoke("predict", stranger, "--study", tmp_path, status=1)


def test_a_model_is_predicted_wherever_its_weights_lie(study, stranger, tmp_path):
    apart = tmp_path / "stranger.onnx"
    onnx.save_model(onnx.load_model(stranger), apart, save_as_external_data=True, size_threshold=0)
    assert len(list(tmp_path.iterdir())) == 2
    (whole,), (split,) = (
        json.loads(invoke("predict", path, "--study", study, "--json")) for path in (stranger, apart)
    )
    assert {**split, "file": ""} == {**whole, "file": ""}


def test_open_sizes_are_given(study, stranger, tmp_path):
    model = onnx.load(stranger)
    for value in (*model.graph.input, *model.graph.output):
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if axis != 1:
                dim.dim_param = f"{value.name}{axis}"
    path = tmp_path / "open.onnx"
    onnx.save(model, path)
    assert "--shape, --resolution" in " ".join(invoke("predict", path, "--study", study, status=1).split())
    (static,) = json.loads(invoke("predict", stranger, "--study", study, "--json"))
    for option in (("--shape", "x:1,8,16,16"), ("--resolution", 16)):
        (given,) = json.loads(invoke("predict", path, "--study", study, "--json", *option))
        assert given | {"file": ""} == static | {"file": ""}


def test_a_damaged_file_is_refused(study, tmp_path):
    path = tmp_path / "damaged.onnx"
    path.write_bytes(b"not a model")
    assert "it is text, no model" in " ".join(invoke("predict", path, "--study", study, status=1).split())
