"""Read what a model file from anywhere says about itself, without running it."""

import hashlib
import math
import os
from pathlib import Path

import msgspec
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, helper

from hytnas_agent.regular_file import open_regular
from hytnas_agent.runtimes.not_a_model import what_it_is
from hytnas_agent.runtimes.onnx_file import TOO_MANY_FIELDS, has_too_many_fields
from hytnas_host.export.errors import ModelFileError
from hytnas_host.export.external import MAX_MODEL_BYTES, take_in


class TensorInfo(msgspec.Struct, frozen=True):
    """An input or output; a dimension the file leaves open is ``None``."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class ModelInfo(msgspec.Struct, frozen=True):
    """What an ONNX file holds, with the weights that it keeps in files beside it.

    ``params`` counts the elements of its floating-point initializers.
    """

    path: Path
    sha256: str
    size_bytes: int
    opset: int
    producer: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    nodes: int
    params: int


def inspect_onnx(path: Path, *, max_bytes: int = MAX_MODEL_BYTES) -> ModelInfo:
    """Read and check an ONNX file.

    Raises
    ------
    ModelFileError
        If the file or its weights beside it cannot be read, are larger than ``max_bytes``, or are not a valid
        ONNX model.
    """
    content, model = load_onnx(path, max_bytes=max_bytes)
    initializers = {tensor.name for tensor in model.graph.initializer}
    return ModelInfo(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        opset=max(
            (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0
        ),
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        inputs=tuple(_tensor(path, value) for value in model.graph.input if value.name not in initializers),
        outputs=tuple(_tensor(path, value) for value in model.graph.output),
        nodes=len(model.graph.node),
        params=sum(math.prod(t.dims) for t in model.graph.initializer if t.data_type in _FLOATS),
    )


def load_onnx(path: Path, *, max_bytes: int = MAX_MODEL_BYTES) -> tuple[bytes, onnx.ModelProto]:
    """The content of an ONNX file, with weights from beside it, and its checked model.

    Raises ModelFileError as `inspect_onnx`.
    """
    content = _read(path, max_bytes)
    model = _parse(path, content)
    if take_in(path, model, max_bytes=max_bytes):
        content = model.SerializeToString(deterministic=True)
    _check(path, model)
    return content, model


_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > max_bytes:
                raise ModelFileError(
                    f"{path} has {size} bytes, more than the {max_bytes} allowed", "Use a smaller model"
                )
            return file.read()
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be read: {error.strerror or error}", "Check its path and permissions"
        ) from error


def _parse(path: Path, content: bytes) -> onnx.ModelProto:
    what = what_it_is(path, "onnx") or (TOO_MANY_FIELDS if has_too_many_fields(path) else "")
    if what:
        raise ModelFileError(f"{path} cannot be used: {what}", "Export or copy it again")
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as error:
        raise ModelFileError(f"{path} is a damaged ONNX file", "Export or copy it again") from error
    if not model.graph.node or not model.graph.output:
        raise ModelFileError(f"{path} holds no ONNX graph", "Export or copy it again")
    return model


def _check(path: Path, model: onnx.ModelProto) -> None:
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelFileError(
            f"{path} is not a valid ONNX model: {reason.strip()}", "Export it again"
        ) from error


def _tensor(path: Path, value: onnx.ValueInfoProto) -> TensorInfo:
    if not value.type.HasField("tensor_type"):
        raise ModelFileError(f"{path}: {value.name!r} is not a tensor", "Only tensors can be measured")
    tensor = value.type.tensor_type
    try:
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path}: {value.name!r} has the unknown element type {tensor.elem_type}", "Export it again"
        ) from error
    shape = tuple(
        d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in tensor.shape.dim
    )
    return TensorInfo(value.name, dtype, shape)
