"""Open inputs of ONNX and TFLite models made fixed, in a copy of the file."""

import struct
from pathlib import Path
from typing import Final

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto

from hytnas_agent.tflite_model import Graph, TfliteFileError, open_tflite
from hytnas_host.export.errors import ModelFileError
from hytnas_host.export.inspect import load_onnx
from hytnas_host.export.shapes import FixedModel, ModelInput, Shape, Sizes, WantedShapes, chosen_shapes

_PIXELS: Final = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT8)
_TFLITE_PIXELS: Final = (0, 1, 3, 9)
"""Of the schema's ``TensorType``: FLOAT32, FLOAT16, UINT8, INT8."""
_ELEMENTWISE: Final = frozenset({"Add", "Cast", "Clip", "Div", "Identity", "Mul", "QuantizeLinear", "Sub"})


def fix_onnx(path: Path, content: bytes, wanted: WantedShapes) -> FixedModel:
    """The model with its open inputs fixed; as it was where there are none.

    A file that is no ONNX model is not judged here.

    Raises
    ------
    ModelFileError
        A shape of ``wanted.named`` does not fit the input of that name.
    """
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError):
        return FixedModel(content)
    inputs = _onnx_inputs(model)
    chosen = chosen_shapes(inputs, wanted)
    for name, shape in chosen.items():
        _fix_in_graph(path, model, name, shape)
    if chosen:
        content = model.SerializeToString(deterministic=True)
    return FixedModel(content, tuple(each.name for each in inputs), chosen)


def onnx_with_shapes(path: Path, wanted: WantedShapes) -> onnx.ModelProto:
    """The checked model of a file, with its open inputs fixed; raises ModelFileError."""
    content, model = load_onnx(path)
    fixed = fix_onnx(path, content, wanted)
    return onnx.load_model_from_string(fixed.content) if fixed.shapes else model


def _onnx_inputs(model: onnx.ModelProto) -> list[ModelInput]:
    """The inputs that somebody has to give: tensors without a value of their own."""
    given = {tensor.name for tensor in model.graph.initializer}
    return [
        ModelInput(
            value.name,
            _onnx_sizes(value),
            value.type.tensor_type.elem_type in _PIXELS,
            _convolved_channels(model, value.name),
        )
        for value in model.graph.input
        if value.name not in given and value.type.HasField("tensor_type")
    ]


def _onnx_sizes(value: onnx.ValueInfoProto) -> Sizes | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return [dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim]


def _convolved_channels(model: onnx.ModelProto, name: str) -> int | None:
    """How many channels the first convolution of an input takes; ``None`` where none follows at once."""
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    followed = {name}
    for node in model.graph.node:
        if not followed.intersection(node.input[:1]):
            continue
        dims = list(weights.get(node.input[1], ())) if len(node.input) > 1 else []
        if node.op_type == "Conv" and len(dims) > 1:
            group = next((a.i for a in node.attribute if a.name == "group"), 1)
            return int(dims[1] * group)
        if node.op_type in _ELEMENTWISE:
            followed.update(node.output)
    return None


def _fix_in_graph(path: Path, model: onnx.ModelProto, name: str, shape: Shape) -> None:
    """Set the shape of an input, and that of the outputs as far as it follows."""
    from onnxruntime.tools import onnx_model_utils  # noqa: PLC0415 (few models need it, and it takes long)

    value = next(value for value in model.graph.input if value.name == name)
    dims = value.type.tensor_type.shape.dim
    if not value.type.tensor_type.HasField("shape"):
        dims.extend(onnx.TensorShapeProto.Dimension() for _ in shape)
    for dim in dims:
        if dim.HasField("dim_value") and dim.dim_value < 1:
            dim.Clear()
    try:
        onnx_model_utils.make_input_shape_fixed(model.graph, name, list(shape))
    except ValueError as error:
        raise _does_not_fit(path, name, shape, str(error)) from error
    del model.graph.value_info[:]  # of before
    try:
        inferred = onnx.shape_inference.infer_shapes(model)
    except (onnx.shape_inference.InferenceError, RuntimeError):
        return  # the runtime says what is wrong with it
    for output, known in zip(model.graph.output, inferred.graph.output, strict=True):
        if known.type.tensor_type.HasField("shape"):
            output.CopyFrom(known)


def fix_tflite(path: Path, content: bytes, wanted: WantedShapes) -> FixedModel:
    """The same for the content of a TFLite file, whose sizes are set where they stand.

    Raises
    ------
    ModelFileError
        As `fix_onnx`.
    OSError
        The file cannot be read.
    """
    try:
        with open_tflite(path) as graphs:
            graph = graphs[0]
            shared = _shared_places(graphs)
    except TfliteFileError:
        return FixedModel(content)
    inputs = [_tflite_input(graph, index) for index in graph.inputs]
    chosen = chosen_shapes(inputs, wanted)
    changed = bytearray(content)
    for each, index in zip(inputs, graph.inputs, strict=True):
        if each.name in chosen:
            shape, tensor = chosen[each.name], graph.tensors[index]
            _check_fits(path, each, shape)
            places = [place for place in (tensor.shape_at, tensor.signature_at) if place]
            if shared.intersection(places):
                raise _does_not_fit(path, each.name, shape, "other tensors share its shape")
            for place in places:
                struct.pack_into(f"<{len(shape)}i", changed, place, *shape)
    return FixedModel(bytes(changed) if chosen else content, tuple(each.name for each in inputs), chosen)


def _tflite_input(graph: Graph, index: int) -> ModelInput:
    tensor = graph.tensors[index]
    sizes: Sizes = [size if size > 0 else None for size in tensor.signature or tensor.shape]
    return ModelInput(tensor.name, sizes, tensor.kind in _TFLITE_PIXELS)


def _shared_places(graphs: list[Graph]) -> set[int]:
    """Where in the file sizes stand that several tensors refer to."""
    counts: dict[int, int] = {}
    for tensor in (tensor for graph in graphs for tensor in graph.tensors):
        for place in (tensor.shape_at, tensor.signature_at):
            counts[place] = counts.get(place, 0) + 1
    return {place for place, count in counts.items() if place and count > 1}


def _check_fits(path: Path, each: ModelInput, shape: Shape) -> None:
    sizes = each.sizes or []
    if len(sizes) != len(shape):
        raise _does_not_fit(path, each.name, shape, f"the input has {len(sizes)} dimensions")
    for number, (known, size) in enumerate(zip(sizes, shape, strict=True), 1):
        if known not in (None, size):
            raise _does_not_fit(path, each.name, shape, f"dimension {number} is {known}")


def _does_not_fit(path: Path, name: str, shape: Shape, reason: str) -> ModelFileError:
    given = f"{name}:{','.join(map(str, shape))}"
    return ModelFileError(f"{path} cannot have the shape {given}: {reason}", "Give another")
