import hashlib
import io
import subprocess
import sys
import warnings
from collections import Counter
from functools import partial

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import get_space
from hytnas_host.export import ExportError, export_onnx, inspect_onnx
from hytnas_host.export.onnx_export import convert_onnx
from hytnas_host.export.parity import check_parity, output_spread, reference_inputs, run_onnx
from hytnas_host.models import build_network, calibrate_batch_norm


def calibrated(plan, seed=0):
    network = build_network(plan, rng=np.random.default_rng(seed))
    calibrate_batch_norm(network, plan, np.random.default_rng(seed + 1))
    return network


@pytest.fixture(scope="module")
def exported(plan, tmp_path_factory):
    return export_onnx(plan, tmp_path_factory.mktemp("models"), seed=3)


def test_files_are_named_by_their_content(exported, plan):
    for path in (exported.path, exported.inputs_file, exported.outputs_file):
        assert path.stem == hashlib.sha256(path.read_bytes()).hexdigest()
    assert exported.sha256 == exported.path.stem
    assert exported.size_bytes == exported.path.stat().st_size
    assert exported.reference.inputs_sha256 == exported.inputs_file.stem
    assert exported.reference.outputs_sha256 == exported.outputs_file.stem
    assert exported.plan_hash == plan.hash
    assert {path.suffix for path in exported.path.parent.iterdir()} == {".onnx", ".npz"}
    assert exported.seconds == pytest.approx(sum(exported.stage_seconds.values()))


def test_the_reference_agrees_with_the_model(exported):
    inputs = np.load(exported.inputs_file)["input_0"]
    outputs = np.load(exported.outputs_file)["output_0"]
    assert inputs.shape == (3, 1, 3, 56, 56)
    assert outputs.shape == (3, 1, 3)
    assert exported.reference.spread == output_spread(outputs) > 0.01
    error = np.abs(run_onnx(exported.path.read_bytes(), inputs) - outputs).max()
    assert error == exported.parity_error <= 1e-3 * exported.output_spread


def test_the_graph_is_static_and_says_where_its_nodes_belong(exported, plan):
    model = onnx.load(exported.path)
    info = inspect_onnx(exported.path)
    assert (info.opset, info.inputs[0].shape, info.outputs[0].shape) == (17, (1, 3, 56, 56), (1, 3))
    kinds = Counter(node.op_type for node in model.graph.node)
    assert not kinds.keys() & {"Identity", "Constant", "Shape", "Slice", "Gather", "BatchNormalization"}
    names = {layer.name for layer in plan.layers}
    for node in model.graph.node:
        assert node.name.strip("/").rsplit("/", 1)[0] in names
        assert not node.doc_string
    shapes = {value.name: value.type.tensor_type.shape for value in model.graph.value_info}
    for node in model.graph.node[:-1]:
        assert all(dim.dim_value > 0 for dim in shapes[node.output[0]].dim), node.name


def test_the_runtime_is_left_with_two_transposes_a_block(exported, tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(exported.path, options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(tmp_path / "optimised.onnx").graph.node
    assert sum(node.op_type == "SpaceToDepth" for node in nodes) == 3
    assert sum(node.op_type == "Transpose" for node in nodes) <= 2 * 3


def test_one_seed_gives_one_file_in_any_process(exported, plan, tmp_path):
    other = export_onnx(plan, tmp_path, seed=4)
    assert other.sha256 != exported.sha256
    assert other.inputs_file.name == exported.inputs_file.name, "models of one shape share their inputs"
    assert other.outputs_file.name != exported.outputs_file.name
    script = (
        "import pathlib, sys\n"
        "from hytnas_datasets.plan import Task, build_plan\n"
        "from hytnas_datasets.spaces import get_space\n"
        "from hytnas_host.export import export_onnx\n"
        "plan = build_plan(get_space('hyt').parse('hyt-0000000dt'), Task(resolution=56, classes=3))\n"
        "sys.stdout.write(export_onnx(plan, pathlib.Path(sys.argv[1]), seed=3).sha256)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert found.stdout == exported.sha256


@pytest.mark.parametrize("space", ["hyt", "hyt-released", "hyt-mixed"])
@pytest.mark.parametrize("resolution", [48, 100])
def test_networks_of_every_space_export(space, resolution, tmp_path):
    architecture = get_space(space).sample(1, np.random.default_rng(2))[0]
    exported = export_onnx(build_plan(architecture, Task(resolution=resolution)), tmp_path, seed=0)
    assert exported.parity_error <= 1e-3 * exported.output_spread


def test_the_successor_of_the_exporter_agrees(plan):
    network = calibrated(plan)
    inputs = reference_inputs(plan.task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.onnx.export(
            network, (torch.from_numpy(inputs[0]),), dynamo=True, opset_version=18, verbose=False
        )
    buffer = io.BytesIO()
    onnx.save_model(program.model_proto, buffer)
    old, new = run_onnx(convert_onnx(network, plan).content, inputs), run_onnx(buffer.getvalue(), inputs)
    np.testing.assert_allclose(old, new, rtol=0, atol=1e-4 * output_spread(old))


def test_a_network_that_ignores_its_input_is_refused(plan):
    network = calibrated(plan)
    with torch.no_grad():
        network.get_submodule("stem/embed/conv").weight.zero_()
    with pytest.raises(ExportError, match="do not depend on its input"):
        check_parity(network, plan, partial(run_onnx, convert_onnx(network, plan).content))


def test_a_wrong_conversion_is_refused(plan):
    network = calibrated(plan)
    content = convert_onnx(network, plan).content
    with torch.no_grad():
        network.get_submodule("stage5/transformer2/feed_forward/expand").bias += 0.1
    with pytest.raises(ExportError, match="differs from torch by"):
        check_parity(network, plan, partial(run_onnx, content))


def test_a_network_of_not_a_number_is_refused(plan):
    network = calibrated(plan)
    with torch.no_grad():
        network.get_submodule("head/classifier").weight.fill_(float("nan"))
    with pytest.raises(ExportError, match="do not depend"):
        check_parity(network, plan, partial(run_onnx, convert_onnx(network, plan).content))
