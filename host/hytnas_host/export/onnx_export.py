"""A network as an ONNX model, by torch's tracing exporter."""

import io
import warnings

import onnx
import torch

from hytnas_datasets.plan import LayerPlan
from hytnas_host.export.errors import ExportError
from hytnas_host.export.exported import Conversion
from hytnas_host.export.graph import tidy
from hytnas_host.models import PlanNetwork

OPSET = 17
INPUT_NAME = "images"
OUTPUT_NAME = "logits"

_EXPECTED_WARNINGS = (
    "You are using the legacy TorchScript",  # its successor takes ten times as long, for no faster a graph
    "The feature will be removed",  # said of its own internals
)


def convert_onnx(network: PlanNetwork, plan: LayerPlan) -> Conversion:
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
    return Conversion(content, str(torch.__version__), opset=OPSET)
