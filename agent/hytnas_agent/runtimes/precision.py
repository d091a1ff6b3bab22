"""The precision of a model, which a latency depends on, as its file says it."""

import mmap
import os
from pathlib import Path

from hytnas_agent.records import ModelFormat, Outcome
from hytnas_agent.regular_file import open_regular
from hytnas_agent.runtimes.base import RuntimeFailure
from hytnas_agent.runtimes.onnx_file import FLOAT16, element_types
from hytnas_agent.runtimes.tflite_file import read_tflite
from hytnas_agent.tflite_model import TfliteFileError

_QUANTISED_OPERATORS = (
    b"QuantizeLinear",
    b"DequantizeLinear",
    b"DynamicQuantizeLinear",
    b"QLinearConv",
    b"QLinearMatMul",
    b"ConvInteger",
    b"MatMulInteger",
    b"MatMulNBits",
)
# Field 4 of an ONNX node is its operator: the tag 4 << 3 | 2, one byte of length, the name.
_ONNX_SIGNS = tuple(bytes([0x22, len(name)]) + name for name in _QUANTISED_OPERATORS)


def read_precision(path: Path, model_format: ModelFormat) -> str:
    """The "fp32", "fp16" or "int8" of a model file: "int8" if some of its weights are of 8 bits or less,
    else "fp16" if some of its weights or inputs are of 16.

    Raises
    ------
    RuntimeFailure
        INVALID_MODEL, if the file cannot be read or is damaged.
    """
    try:
        if model_format == "tflite":
            return read_tflite(path).precision
        if _is_quantised_onnx(path):
            return "int8"
        return "fp16" if FLOAT16 in element_types(path) else "fp32"
    except OSError as error:
        raise RuntimeFailure(Outcome.INVALID_MODEL, f"the model cannot be read: {error.strerror}") from error
    except TfliteFileError as error:
        raise RuntimeFailure(Outcome.INVALID_MODEL, str(error)) from error


def _is_quantised_onnx(path: Path) -> bool:
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size == 0:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(content.find(sign) >= 0 for sign in _ONNX_SIGNS)
