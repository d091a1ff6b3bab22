"""Plan to ONNX file: build, calibrate, convert, tidy, check against torch, write."""

import io
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import onnx
import torch

from hytnas_agent.records import Reference
from hytnas_datasets.plan import LayerPlan
from hytnas_host.export.errors import ExportError
from hytnas_host.export.files import npz_bytes, write_named_by_hash
from hytnas_host.export.graph import tidy
from hytnas_host.export.parity import TOLERANCE, Parity, check_parity
from hytnas_host.models import PlanNetwork, build_network, calibrate_batch_norm

OPSET = 17
CONVERTER = "torch.onnx (tracing)"
INPUT_NAME = "images"
OUTPUT_NAME = "logits"

_EXPECTED_WARNINGS = (
    "You are using the legacy TorchScript",  # its successor takes ten times as long, for no faster a graph
    "The feature will be removed",  # said of its own internals
)


class ExportedModel(msgspec.Struct, frozen=True):
    """A model file and the reference that travels with it.

    ``parity_error`` is the largest absolute difference from torch and ``output_spread`` the standard
    deviation of the outputs over the reference inputs, both in the unit of the outputs. ``stage_seconds``
    splits ``seconds`` into build, calibrate, convert, check and write.
    """

    path: Path
    sha256: str
    plan_hash: str
    opset: int
    converter: str
    converter_version: str
    size_bytes: int
    parity_error: float
    output_spread: float
    reference: Reference
    inputs_file: Path
    outputs_file: Path
    seconds: float
    stage_seconds: dict[str, float]


def export_onnx(plan: LayerPlan, folder: Path, *, seed: int) -> ExportedModel:
    """Export the network of a plan, with weights from ``seed``, into ``folder``.

    Batch 1, static shapes, opset 17. The same plan and seed give the same bytes. Files are named by their
    SHA-256: the model, the reference inputs (shared by all models of one input shape) and outputs.

    Raises
    ------
    ExportError
        If the conversion fails or is not equal to torch, or a file cannot be written.
    """
    with _one_thread():
        return _export(plan, folder, seed)


def _export(plan: LayerPlan, folder: Path, seed: int) -> ExportedModel:
    clock = _StageClock()
    with clock.stage("build"):
        network = build_network(plan, rng=np.random.default_rng([seed, 0]))
    with clock.stage("calibrate"):
        calibrate_batch_norm(network, plan, np.random.default_rng([seed, 1]))
    with clock.stage("convert"):
        content = convert(network, plan)
    with clock.stage("check"):
        parity = check_parity(network, plan, content)
    with clock.stage("write"):
        path = write_named_by_hash(content, folder, ".onnx")
        inputs_file = write_named_by_hash(npz_bytes({"input_0": parity.inputs}), folder, ".npz")
        outputs_file = write_named_by_hash(npz_bytes({"output_0": parity.outputs}), folder, ".npz")
    return ExportedModel(
        path=path,
        sha256=path.stem,
        plan_hash=plan.hash,
        opset=OPSET,
        converter=CONVERTER,
        converter_version=torch.__version__,
        size_bytes=len(content),
        parity_error=parity.error,
        output_spread=parity.spread,
        reference=_reference(parity, inputs_file, outputs_file),
        inputs_file=inputs_file,
        outputs_file=outputs_file,
        seconds=sum(clock.seconds.values()),
        stage_seconds=clock.seconds,
    )


def convert(network: PlanNetwork, plan: LayerPlan) -> bytes:
    """The tidy, checked ONNX model of a network in evaluation mode; raises ExportError."""
    task = plan.task
    image = torch.zeros(1, task.in_channels, task.resolution, task.resolution)
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            for message in _EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message=message, category=DeprecationWarning)
            torch.onnx.export(
                network,
                (image,),
                buffer,  # type: ignore[arg-type]  # a buffer works, and spares a file
                dynamo=False,
                opset_version=OPSET,
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
            )
        model = tidy(onnx.load_model_from_string(buffer.getvalue()), plan)
        onnx.checker.check_model(model, full_check=True)
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ExportError(f"Network {plan.hash[:12]} cannot be converted: {reason}") from error
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _reference(parity: Parity, inputs_file: Path, outputs_file: Path) -> Reference:
    return Reference(
        inputs_sha256=inputs_file.stem,
        outputs_sha256=outputs_file.stem,
        spread=parity.spread,
        tolerance=TOLERANCE,
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """More threads add in another order: other batch-norm statistics in the last digit, other bytes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _StageClock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
