"""What a network is exported to: format, precision and converter, which a latency never mixes."""

from dataclasses import dataclass
from typing import Literal, get_args

from hytnas_agent.records import ModelFormat
from hytnas_host.export.errors import ExportError

Precision = Literal["fp32", "int8"]

TORCH_ONNX = "torch.onnx (tracing)"
LITERT_TORCH = "litert-torch"
ONNX2TF = "onnx2tf"

CONVERTERS: dict[ModelFormat, tuple[str, ...]] = {
    "onnx": (TORCH_ONNX,),
    "tflite": (LITERT_TORCH, ONNX2TF),
}
"""The converters to each format, the default one first."""

PRECISIONS: dict[ModelFormat, tuple[Precision, ...]] = {"onnx": ("fp32",), "tflite": ("fp32", "int8")}
"""The precisions of each format. ``int8``: weights of 8 bits, dynamic range."""


@dataclass(frozen=True)
class ModelKind:
    """What is known of any model file: a collection measures files of one kind."""

    format: ModelFormat = "onnx"
    precision: str = "fp32"

    def __str__(self) -> str:
        return f"{self.format} {self.precision}"


@dataclass(frozen=True)
class ExportTarget:
    """One way to make model files of networks.

    Parameters
    ----------
    format : {"onnx", "tflite"}
    precision : {"fp32", "int8"}
    converter : str, optional
        One of ``CONVERTERS[format]``; the default one where none is given, so that two targets that mean
        the same are equal.

    Raises
    ------
    ExportError
        The three do not go together.
    """

    format: ModelFormat = "onnx"
    precision: Precision = "fp32"
    converter: str = ""

    def __post_init__(self) -> None:
        if self.format not in get_args(ModelFormat):
            raise ExportError(
                f"there is no model format {self.format!r}", f"known: {', '.join(get_args(ModelFormat))}"
            )
        if self.precision not in PRECISIONS[self.format]:
            raise ExportError(
                f"the format {self.format} is not exported in {self.precision}",
                f"it is in {' and '.join(PRECISIONS[self.format])}",
            )
        known = CONVERTERS[self.format]
        if not self.converter:
            object.__setattr__(self, "converter", known[0])
        elif self.converter not in known:
            raise ExportError(
                f"the converter {self.converter!r} makes no {self.format} files",
                f"known for {self.format}: {', '.join(known)}",
            )

    def __str__(self) -> str:
        return f"{self.kind} by {self.converter}"

    @property
    def kind(self) -> ModelKind:
        """The kind of its files."""
        return ModelKind(self.format, self.precision)

    @classmethod
    def of_kind(cls, kind: ModelKind) -> "ExportTarget | None":
        """The target by the default converter, if files of this kind are exported at all."""
        for precision in PRECISIONS[kind.format]:
            if precision == kind.precision:
                return cls(kind.format, precision)
        return None
