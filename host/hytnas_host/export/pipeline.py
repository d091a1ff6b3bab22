"""Plan to model file: build, calibrate, convert, check against torch, write."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hytnas_agent.records import Reference
from hytnas_datasets.plan import LayerPlan
from hytnas_host.export.agreement import check_agreement
from hytnas_host.export.exported import Conversion, ExportedModel, StageClock
from hytnas_host.export.files import npz_bytes, write_named_by_hash
from hytnas_host.export.litert import convert_litert
from hytnas_host.export.onnx2tf import convert_onnx2tf
from hytnas_host.export.onnx_export import convert_onnx
from hytnas_host.export.parity import Parity, check_parity, run_onnx
from hytnas_host.export.quantise import quantise
from hytnas_host.export.run_tflite import run_tflite
from hytnas_host.export.target import LITERT_TORCH, ONNX2TF, TORCH_ONNX, ExportTarget
from hytnas_host.models import PlanNetwork, build_network, calibrate_batch_norm

_CONVERT: dict[str, Callable[[PlanNetwork, LayerPlan], Conversion]] = {
    TORCH_ONNX: convert_onnx,
    LITERT_TORCH: convert_litert,
    ONNX2TF: convert_onnx2tf,
}


def export_model(plan: LayerPlan, folder: Path, *, seed: int, target: ExportTarget) -> ExportedModel:
    """Export the network of a plan, with weights from ``seed``, into ``folder``.

    Batch 1, static shapes. The same plan, seed, target and converter version give the same bytes. Files are
    named by their SHA-256: the model, the reference inputs (shared by all models of one input shape) and
    outputs.

    Raises
    ------
    ExportError
        If the converter is not there, the conversion fails, or the result does not compute what torch
        computes.
    NoRoomError
        A file cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from hytnas_datasets.plan import Task, build_plan
    >>> from hytnas_datasets.spaces import get_space
    >>> network = get_space("hyt").sample(1, np.random.default_rng(0))[0]
    >>> plan = build_plan(network, Task(resolution=32))
    >>> with TemporaryDirectory() as folder:
    ...     exported = export_model(plan, Path(folder), seed=0, target=ExportTarget())
    ...     exported.path.suffix, exported.parity_error < 1e-3
    ('.onnx', True)
    """
    with _one_thread():
        return _export(plan, folder, seed, target)


def export_onnx(plan: LayerPlan, folder: Path, *, seed: int) -> ExportedModel:
    """Export a network to ONNX in single precision; see ``export_model``."""
    return export_model(plan, folder, seed=seed, target=ExportTarget())


@contextmanager
def _one_thread() -> Iterator[None]:
    """More threads add in another order: other batch-norm statistics in the last digit, other bytes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _export(plan: LayerPlan, folder: Path, seed: int, target: ExportTarget) -> ExportedModel:
    clock = StageClock()
    with clock.stage("build"):
        network = build_network(plan, rng=np.random.default_rng([seed, 0]))
    with clock.stage("calibrate"):
        calibrate_batch_norm(network, plan, np.random.default_rng([seed, 1]))
    with clock.stage("convert"):
        conversion = _CONVERT[target.converter](network, plan)
        if target.precision == "int8":
            conversion = quantise(conversion, plan)
    with clock.stage("check"):
        parity = _check(network, plan, conversion, target)
    with clock.stage("write"):
        path = write_named_by_hash(conversion.content, folder, f".{target.format}")
        inputs = _in_layout(parity.inputs, conversion)
        inputs_file = write_named_by_hash(npz_bytes({"input_0": inputs}), folder, ".npz")
        outputs_file = write_named_by_hash(npz_bytes({"output_0": parity.outputs}), folder, ".npz")
    return ExportedModel(
        path=path,
        sha256=path.stem,
        plan_hash=plan.hash,
        target=target,
        opset=conversion.opset,
        converter_version=conversion.version,
        size_bytes=len(conversion.content),
        parity_error=parity.error,
        output_spread=parity.spread,
        correlation=parity.correlation,
        reference=Reference(inputs_file.stem, outputs_file.stem, parity.spread, parity.tolerance),
        inputs_file=inputs_file,
        outputs_file=outputs_file,
        seconds=sum(clock.seconds.values()),
        stage_seconds=clock.seconds,
    )


def _check(network: PlanNetwork, plan: LayerPlan, conversion: Conversion, target: ExportTarget) -> Parity:
    run_model = run_onnx if target.format == "onnx" else run_tflite
    run = partial(_run, run_model, conversion)
    if target.precision == "int8":
        return check_agreement(network, plan, run)
    return check_parity(network, plan, run)


def _run(
    run_model: Callable[[bytes, NDArray[np.float32]], NDArray[np.float32]],
    conversion: Conversion,
    inputs: NDArray[np.float32],
) -> NDArray[np.float32]:
    return run_model(conversion.content, _in_layout(inputs, conversion))


def _in_layout(inputs: NDArray[np.float32], conversion: Conversion) -> NDArray[np.float32]:
    """``(k, 1, channels, height, width)`` images as the model takes them."""
    return np.ascontiguousarray(np.moveaxis(inputs, 2, -1)) if conversion.channels_last else inputs
