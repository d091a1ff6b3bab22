"""Inputs of ONNX models that leave sizes open, or say nothing of their shape, made fixed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto

from hytnas_host.export.errors import ModelFileError

Shape = tuple[int, ...]

_IMAGE_CHANNELS: Final = (1, 3, 4)
_IMAGE_TYPES: Final = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT8)
_ELEMENTWISE: Final = frozenset({"Add", "Cast", "Clip", "Div", "Identity", "Mul", "QuantizeLinear", "Sub"})


@dataclass(frozen=True)
class WantedShapes:
    """What open inputs are to be fixed to.

    Attributes
    ----------
    named : mapping
        The shape of an input by its name; an input whose sizes are others already is an error.
    offered : mapping
        The same, for inputs that are open alone.
    resolution : int or None
        Height and width of an image that is the only input; ``None`` leaves it open.
    """

    named: Mapping[str, Shape] = field(default_factory=dict)
    offered: Mapping[str, Shape] = field(default_factory=dict)
    resolution: int | None = None


AS_THEY_ARE: Final = WantedShapes()


def parse_shape(text: str) -> tuple[str, Shape]:
    """The name and the shape of an input.

    Raises ValueError where the text is no such thing.

    >>> parse_shape("images:0:1,3,224,224")
    ('images:0', (1, 3, 224, 224))
    """
    name, _, sizes = text.rpartition(":")
    shape = tuple(int(size) for size in sizes.split(",")) if sizes else ()
    if not name or not shape or any(size < 1 for size in shape):
        raise ValueError(f"{text!r} is no NAME:1,3,224,224")
    return name, shape


def inputs_of(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """The inputs that somebody has to give: those without a value of their own."""
    given = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in given]


@dataclass(frozen=True)
class FixedModel:
    """A model, the names of its inputs, and the shapes that open ones of them got."""

    content: bytes
    names: tuple[str, ...] = ()
    shapes: dict[str, Shape] = field(default_factory=dict)


def with_fixed_shapes(path: Path, content: bytes, wanted: WantedShapes) -> FixedModel:
    """The model with its open inputs fixed; as it was where there are none.

    A file that is no ONNX model is not judged here. The batch, the first dimension, is not open: it is 1.

    Raises
    ------
    ModelFileError
        A shape of ``wanted.named`` does not fit the input of that name.
    """
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError):
        return FixedModel(content)
    names = tuple(value.name for value in inputs_of(model))
    chosen = _chosen(model, wanted)
    for name, shape in chosen.items():
        _fix(path, model, name, shape)
    return FixedModel(model.SerializeToString(deterministic=True) if chosen else content, names, chosen)


def _chosen(model: onnx.ModelProto, wanted: WantedShapes) -> dict[str, Shape]:
    inputs = inputs_of(model)
    chosen: dict[str, Shape] = {}
    for value in inputs:
        sizes = _sizes(value)
        if value.name in wanted.named:
            if sizes != list(wanted.named[value.name]):
                chosen[value.name] = tuple(wanted.named[value.name])
        elif sizes is None or None in sizes[1:]:
            shape = wanted.offered.get(value.name)
            if shape is None and len(inputs) == 1 and wanted.resolution is not None:
                shape = _image_shape(model, value, sizes, wanted.resolution)
            if shape is not None:
                chosen[value.name] = tuple(shape)
    return chosen


def _sizes(value: onnx.ValueInfoProto) -> list[int | None] | None:
    """The dimensions of an input, open ones ``None``; ``None`` where it has no shape."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return [dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim]


def _image_shape(
    model: onnx.ModelProto, value: onnx.ValueInfoProto, sizes: list[int | None] | None, resolution: int
) -> Shape | None:
    """The shape of an image of that resolution, if the input is one; channels are where they are few."""
    if value.type.tensor_type.elem_type not in _IMAGE_TYPES or (sizes is not None and len(sizes) != 4):
        return None
    channels = _convolved_channels(model, value.name)
    known = sizes or [None] * 4
    last = known[3] in _IMAGE_CHANNELS and known[1] not in _IMAGE_CHANNELS
    usual = (1, resolution, resolution, 3) if last else (1, channels or 3, resolution, resolution)
    if not last and known[1] is None and channels is None:
        return None
    return tuple(other if size is None else size for size, other in zip(known, usual, strict=True))


def _convolved_channels(model: onnx.ModelProto, name: str) -> int | None:
    """How many channels the first convolution of an input takes; ``None`` where none follows at once."""
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    followed = {name}
    for node in model.graph.node:
        if not followed.intersection(node.input[:1]):
            continue
        if node.op_type == "Conv" and node.input[1] in weights:
            group = next((a.i for a in node.attribute if a.name == "group"), 1)
            return int(weights[node.input[1]][1] * group)
        if node.op_type in _ELEMENTWISE:
            followed.update(node.output)
    return None


def _fix(path: Path, model: onnx.ModelProto, name: str, shape: Shape) -> None:
    """Set the shape of an input, and that of the outputs as far as it follows."""
    from onnxruntime.tools import onnx_model_utils  # noqa: PLC0415 (few models need it, and it takes long)

    value = next(value for value in model.graph.input if value.name == name)
    dims = value.type.tensor_type.shape.dim
    if not value.type.tensor_type.HasField("shape"):
        value.type.tensor_type.shape.SetInParent()
        for _ in shape:
            dims.add()
    for dim in dims:
        if dim.HasField("dim_value") and dim.dim_value < 1:
            dim.Clear()
    try:
        onnx_model_utils.make_input_shape_fixed(model.graph, name, list(shape))
    except ValueError as error:
        given = f"{name}:{','.join(map(str, shape))}"
        raise ModelFileError(f"{path} cannot have the shape {given}: {error}", "Give another") from error
    try:
        inferred = onnx.shape_inference.infer_shapes(model)
    except (onnx.shape_inference.InferenceError, RuntimeError):
        return  # the runtime says what is wrong with it
    for output, known in zip(model.graph.output, inferred.graph.output, strict=True):
        if known.type.tensor_type.HasField("shape"):
            output.CopyFrom(known)
