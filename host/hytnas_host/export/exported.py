"""What converting and exporting give."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hytnas_agent.records import Reference
from hytnas_host.export.target import ExportTarget


@dataclass(frozen=True)
class Conversion:
    """A model file in memory.

    Attributes
    ----------
    content : bytes
    version : str
        Of the converter.
    opset : int or None
        The ONNX operator set; ``None`` for other formats.
    channels_last : bool
        Whether the model takes images as (1, height, width, channels) instead of (1, channels, ...).
    """

    content: bytes
    version: str
    opset: int | None = None
    channels_last: bool = False


class ExportedModel(msgspec.Struct, frozen=True):
    """A model file and the reference that travels with it.

    ``parity_error`` is the largest absolute difference from torch and ``output_spread`` the standard
    deviation of the outputs over the reference inputs, both in the unit of the outputs; ``correlation`` is
    that of a quantised model's outputs with torch's. ``stage_seconds`` splits ``seconds`` into build,
    calibrate, convert, check and write.
    """

    path: Path
    sha256: str
    plan_hash: str
    target: ExportTarget
    opset: int | None
    converter_version: str
    size_bytes: int
    parity_error: float
    output_spread: float
    correlation: float | None
    reference: Reference
    inputs_file: Path
    outputs_file: Path
    seconds: float
    stage_seconds: dict[str, float]


class StageClock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done within."""
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
