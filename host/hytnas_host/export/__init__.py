"""Networks as model files, ONNX or TFLite, with a numerical check, and a look into files from elsewhere.

Names are imported when they are first used: whoever only hands out exports to a pool does without torch.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hytnas_host.export.errors import ExportError as ExportError
    from hytnas_host.export.errors import ModelFileError as ModelFileError
    from hytnas_host.export.exported import ExportedModel as ExportedModel
    from hytnas_host.export.inspect import ModelInfo as ModelInfo
    from hytnas_host.export.inspect import TensorInfo as TensorInfo
    from hytnas_host.export.inspect import inspect_onnx as inspect_onnx
    from hytnas_host.export.pipeline import export_model as export_model
    from hytnas_host.export.pipeline import export_onnx as export_onnx
    from hytnas_host.export.pool import ExportPool as ExportPool
    from hytnas_host.export.target import ExportTarget as ExportTarget

_EXPORTS = {
    "hytnas_host.export.errors": ("ExportError", "ModelFileError"),
    "hytnas_host.export.exported": ("ExportedModel",),
    "hytnas_host.export.inspect": ("ModelInfo", "TensorInfo", "inspect_onnx"),
    "hytnas_host.export.pipeline": ("export_model", "export_onnx"),
    "hytnas_host.export.pool": ("ExportPool",),
    "hytnas_host.export.target": ("ExportTarget",),
}
__all__ = [name for names in _EXPORTS.values() for name in names]

if not TYPE_CHECKING:

    def __getattr__(name):
        from hytnas_agent.lazy import export  # noqa: PLC0415 (nothing is imported before it is needed)

        return export(__name__, _EXPORTS, name)

    def __dir__():
        return sorted({*globals(), *__all__})
