"""What litert-torch makes of our networks computes what torch computes, on both runtimes of a board."""

import hashlib

import msgspec
import numpy as np
import pytest

from hytnas_agent.records import MeasureJob, MeasureSettings, Outcome, ProcessResult
from hytnas_agent.runtimes.tflite_file import TfliteFacts, read_tflite
from hytnas_datasets.work import WORK_COLUMNS, work_of, work_of_tflite
from hytnas_host.export import ExportedModel
from hytnas_host.export.files import write_named_by_hash

from .conftest import CASES

QUICK = MeasureSettings(warmup_window=2, warmup_max_runs=4, min_runs=3, max_runs=5, timed_budget_s=0.0)
RUNTIMES = ("ai-edge-litert", "tflite-runtime")


@pytest.fixture
def measure(open_device, request):
    """Push a model and its reference to the device with a runtime, and measure it once."""

    def run(runtime: str, exported: ExportedModel) -> ProcessResult:
        device = open_device(runtime)
        device.push(exported.path, exported.sha256, ".tflite")
        for file in (exported.inputs_file, exported.outputs_file):
            device.push(file, file.stem, ".npz")
        reference = exported.reference
        job_id = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:32]
        return device.measure(
            MeasureJob(job_id, exported.sha256, "tflite", QUICK, runtime=runtime, reference=reference)
        )

    return run


@pytest.mark.parametrize("name", ["small", "other", "large"])
def test_the_files_say_what_they_are(exports, name: str) -> None:
    exported = exports[name]
    assert exported.path.stem == exported.sha256 == hashlib.sha256(exported.path.read_bytes()).hexdigest()
    assert (exported.target.converter, exported.opset) == ("litert-torch", None)
    assert exported.converter_version[0].isdigit()
    assert read_tflite(exported.path) == TfliteFacts("fp32", False)
    assert exported.parity_error <= 1e-4 * exported.output_spread
    assert exported.output_spread > 0.01
    inputs = np.load(exported.inputs_file)["input_0"]
    assert inputs.shape[:3] == (3, 1, 3)


@pytest.mark.parametrize("name", CASES)
def test_the_work_of_a_file_is_that_of_its_plan_but_for_what_is_rearranged(exports, name: str) -> None:
    """The image is brought to (height, width, channels), and each head is sliced by itself."""
    plan = CASES[name].plan
    work = work_of_tflite(exports[name].path)
    assert not work.unknown
    found = dict(zip(WORK_COLUMNS, work.columns, strict=True))
    expected = dict(zip(WORK_COLUMNS, work_of(plan.layers), strict=True))
    slices = sum(3 * layer.integer("heads") for layer in plan.layers if layer.kind == "attention")
    assert found.pop("rearrange written") == expected.pop("rearrange written") + plan.task.resolution**2 * 3
    assert slices < found.pop("rearrange count") < slices + expected.pop("rearrange count")
    assert found == expected


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", ["small", "other", "large"])
def test_both_runtimes_compute_what_torch_computes(exports, measure, name: str, runtime: str) -> None:
    result = measure(runtime, exports[name])
    assert (result.outcome, result.message) == (Outcome.OK, "")
    assert result.parity.max_error <= 1e-4 * exports[name].output_spread
    assert result.context.runtime == runtime
    assert result.context.precision == "fp32"
    assert "XNNPACK" in result.context.runtime_build
    assert len(result.samples_ms) >= QUICK.min_runs


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_model_with_a_weight_changed_is_told_by_its_outputs(
    exports, measure, tmp_path, runtime: str
) -> None:
    content = bytearray(exports["small"].path.read_bytes())
    weights = np.frombuffer(content, np.uint8)
    middle = len(weights) // 2
    weights[middle : middle + 4096] ^= 0x40  # still a model, of which a thousand weights are others
    path = write_named_by_hash(bytes(content), tmp_path, ".tflite")
    damaged = msgspec.structs.replace(exports["small"], path=path, sha256=path.stem)
    result = measure(runtime, damaged)
    assert result.outcome is Outcome.PARITY, result.message
    assert result.median_ms is None


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_half_a_model_is_an_ending_and_the_agent_lives(exports, measure, tmp_path, runtime: str) -> None:
    content = exports["small"].path.read_bytes()
    path = write_named_by_hash(content[: len(content) // 2], tmp_path, ".tflite")
    damaged = msgspec.structs.replace(exports["small"], path=path, sha256=path.stem)
    assert measure(runtime, damaged).outcome in (Outcome.INVALID_MODEL, Outcome.CRASH)


def test_int8_is_right_in_ai_edge_litert(exports, measure) -> None:
    exported = exports["int8"]
    assert read_tflite(exported.path) == TfliteFacts("int8", True)
    assert exported.correlation > 0.9
    assert exported.size_bytes < 0.6 * exports["small"].size_bytes
    assert "ai-edge-quantizer" in exported.converter_version
    result = measure("ai-edge-litert", exported)
    assert (result.outcome, result.message) == (Outcome.OK, "")
    assert result.context.precision == "int8"


def test_int8_is_refused_by_tflite_runtime(exports, measure) -> None:
    result = measure("tflite-runtime", exports["int8"])
    assert result.outcome is Outcome.UNSUPPORTED
    assert "wrongly without saying so" in result.message
    assert result.context.precision == "int8"
