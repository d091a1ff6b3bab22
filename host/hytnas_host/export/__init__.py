"""Networks as model files, ONNX or TFLite, with a numerical check, and a look into files from elsewhere."""

from hytnas_host.export.errors import ExportError, ModelFileError
from hytnas_host.export.exported import ExportedModel
from hytnas_host.export.inspect import ModelInfo, TensorInfo, inspect_onnx
from hytnas_host.export.pipeline import export_model, export_onnx
from hytnas_host.export.pool import ExportPool
from hytnas_host.export.target import ExportTarget

__all__ = [
    "ExportError",
    "ExportPool",
    "ExportTarget",
    "ExportedModel",
    "ModelFileError",
    "ModelInfo",
    "TensorInfo",
    "export_model",
    "export_onnx",
    "inspect_onnx",
]
