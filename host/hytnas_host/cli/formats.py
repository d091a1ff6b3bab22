"""Options that say what networks are exported to, or which of several kinds of labels is meant."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

if TYPE_CHECKING:
    from hytnas_host.export.target import ExportTarget, Precision

FormatOption = Annotated[
    Literal["onnx", "tflite"] | None,
    typer.Option(
        "--format",
        help=("Format of the model files; onnx by default. tflite needs the extra `litert-export`."),
    ),
]
PrecisionOption = Annotated[
    Literal["fp32", "int8"] | None,
    typer.Option(
        "--precision",
        help=(
            "Precision of the model files; fp32 by default. int8 stores weights in 8 bits "
            "(dynamic range), for TFLite only."
        ),
    ),
]
AnyPrecisionOption = Annotated[
    Literal["fp32", "fp16", "int8"] | None,
    typer.Option(
        "--precision",
        help=(
            "Precision of the model files; fp32 by default. int8 stores weights in 8 bits (dynamic range), "
            "for TFLite only. With --models: which files of a folder to measure; all by default."
        ),
    ),
]
ConverterOption = Annotated[
    Literal["litert-torch", "onnx2tf"] | None,
    typer.Option(
        "--converter",
        help=(
            "What makes TFLite files; litert-torch by default. onnx2tf gives other graphs, "
            "so other latencies."
        ),
    ),
]


ShapeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        metavar="NAME:SIZES",
        help=(
            "The shape of an input that a model file leaves open, such as images:1,3,224,224; repeat it for "
            "several. An image that is the only input gets that of --resolution by default."
        ),
    ),
]


def read_shapes(texts: Sequence[str] | None) -> dict[str, tuple[int, ...]]:
    """The shapes that `ShapeOption` names; a wrong use of the command where one cannot be read."""
    from hytnas_host.export.shapes import parse_shape

    try:
        return dict(parse_shape(text) for text in texts or ())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--shape") from error


def export_target(
    model_format: Literal["onnx", "tflite"] | None,
    precision: Literal["fp32", "fp16", "int8"] | None,
    converter: str | None,
) -> "ExportTarget":
    """The target the options mean; raises ExportError where they do not go together."""
    from hytnas_host.export.target import ExportTarget

    return ExportTarget(model_format or "onnx", cast("Precision", precision or "fp32"), converter or "")
