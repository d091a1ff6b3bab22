"""Options that say what networks are exported to, or which of several kinds of labels is meant."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from hytnas_host.export.target import ExportTarget

FormatOption = Annotated[
    Literal["onnx", "tflite"] | None,
    typer.Option("--format", help="Format of the model files; onnx by default."),
]
PrecisionOption = Annotated[
    Literal["fp32", "int8"] | None,
    typer.Option("--precision", help="fp32 by default; int8 is 8-bit weights, dynamic range, in TFLite."),
]
ConverterOption = Annotated[
    Literal["litert-torch", "onnx2tf"] | None,
    typer.Option("--converter", help="Which converter makes TFLite files; litert-torch by default."),
]


def export_target(
    model_format: Literal["onnx", "tflite"] | None,
    precision: Literal["fp32", "int8"] | None,
    converter: str | None,
) -> "ExportTarget":
    """The target the options mean; raises ExportError where they do not go together."""
    from hytnas_host.export.target import ExportTarget

    return ExportTarget(model_format or "onnx", precision or "fp32", converter or "")
