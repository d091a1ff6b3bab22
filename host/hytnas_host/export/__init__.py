"""Networks as model files: ONNX export with a numerical check, and a look into files from elsewhere."""

from hytnas_host.export.errors import ExportError, ModelFileError
from hytnas_host.export.inspect import ModelInfo, TensorInfo, inspect_onnx
from hytnas_host.export.onnx_export import ExportedModel, export_onnx
from hytnas_host.export.pool import ExportPool

__all__ = [
    "ExportError",
    "ExportPool",
    "ExportedModel",
    "ModelFileError",
    "ModelInfo",
    "TensorInfo",
    "export_onnx",
    "inspect_onnx",
]
