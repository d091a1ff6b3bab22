"""The work of an ONNX model, read from its graph; nothing of it is executed.

Shapes come from the shape inference of the ``onnx`` package, which is imported when a model is read: it is
part of the extra ``host``. Quantised graphs are read as the float graphs that they stand for.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from hytnas_datasets.errors import ModelGraphError
from hytnas_datasets.work.columns import WorkKind
from hytnas_datasets.work.graph import Graph, Node, Role
from hytnas_datasets.work.graph_work import GraphWork, work_of_graph

if TYPE_CHECKING:
    import onnx

_DOMAINS: Final = ("", "ai.onnx", "com.microsoft")
_MAX_SHAPE_ELEMENTS: Final = 1024
"""Constants above this are no shapes, so that the shape inference gets on without their data."""

_FLOAT_FORMS: Final[Mapping[str, tuple[str, Sequence[int]]]] = {
    "QuantizeLinear": ("Identity", (0,)),
    "DequantizeLinear": ("Identity", (0,)),
    "DynamicQuantizeLinear": ("Identity", (0,)),
    "QLinearConv": ("Conv", (0, 3, 8)),
    "ConvInteger": ("Conv", (0, 1)),
    "QLinearMatMul": ("MatMul", (0, 3)),
    "MatMulInteger": ("MatMul", (0, 1)),
    "MatMulIntegerToFloat": ("MatMul", (0, 1)),
    "DynamicQuantizeMatMul": ("MatMul", (0, 1)),
    "QGemm": ("Gemm", (0, 3, 6)),
    "QLinearAdd": ("Add", (0, 3)),
    "QLinearMul": ("Mul", (0, 3)),
    "QLinearConcat": ("Concat", range(2, 10_000, 3)),
    "QLinearSigmoid": ("Sigmoid", (0,)),
    "QLinearSoftmax": ("Softmax", (0,)),
    "QLinearLeakyRelu": ("LeakyRelu", (0,)),
    "QLinearAveragePool": ("AveragePool", (0,)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", (0,)),
    "FusedConv": ("Conv", (0, 1, 2)),
    "FastGelu": ("Erf", (0,)),
    "QuickGelu": ("Erf", (0,)),
    "BiasGelu": ("Erf", (0,)),
    "Gelu": ("Erf", (0,)),
}
"""Operators that the shape inference does not know or that count in integers: what stands for them, and its
inputs among theirs. All functions of one element cost the same here."""

_SAME_ELEMENTS: Final = (
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "CastLike",
)  # fmt: skip
_FUNCTIONS: Final = (
    "Sigmoid", "Tanh", "Erf", "Exp", "Log", "Sqrt", "Reciprocal", "Elu", "Selu", "Celu", "Softplus",
    "Softsign", "HardSigmoid", "HardSwish", "Mish", "Swish", "LeakyRelu", "PRelu", "ThresholdedRelu", "Abs",
    "Neg", "Sign", "Floor", "Ceil", "Round", "Sin", "Cos", "Cast", "Not", "IsNaN", "IsInf",
)  # fmt: skip
_BINARY: Final = (
    "Add", "Sub", "Mul", "Div", "Pow", "Sum", "Mod", "Where", "Equal", "Greater", "GreaterOrEqual",
    "Less", "LessOrEqual", "And", "Or", "Xor",
)  # fmt: skip
_REDUCTIONS: Final = (
    "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd",
    "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "ArgMax", "ArgMin",
)  # fmt: skip
_MOVES: Final[Mapping[str, WorkKind]] = {
    **dict.fromkeys(
        ("Transpose", "Split", "Slice", "Pad", "Gather", "SpaceToDepth", "DepthToSpace", "Expand", "Tile"),
        "rearrange",
    ),
    "Concat": "concat",
    "Resize": "resize",
    "Upsample": "resize",
}  # fmt: skip
_ROLES: Final[Mapping[str, Role]] = {
    **dict.fromkeys(_SAME_ELEMENTS, "free"),
    **dict.fromkeys(_FUNCTIONS, "function"),
    **dict.fromkeys(_BINARY, "binary"),
    **dict.fromkeys(_REDUCTIONS, "reduce"),
    **dict.fromkeys(_MOVES, "move"),
    **dict.fromkeys(("Relu", "Clip"), "clip"),
    "BatchNormalization": "batch_norm",
}
_NORMS: Final = ("LayerNormalization", "RMSNormalization", "InstanceNormalization", "GroupNormalization")


def work_of_onnx(model: "onnx.ModelProto") -> GraphWork:
    """The work of an ONNX model whose weights are in the model itself; a free batch axis counts as 1.

    Raises
    ------
    ModelGraphError
        An axis of an input other than the batch is free, or the shape of a tensor that counts does not follow
        from the graph.

    Examples
    --------
    >>> from onnx import TensorProto, helper
    >>> ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 8)) for name in "xy"]
    >>> graph = helper.make_graph([helper.make_node("Tanh", ["x"], ["y"])], "g", ends[:1], ends[1:])
    >>> work_of_onnx(helper.make_model(graph)).nodes[0].work.written
    8
    """
    return work_of_graph(_read(model))


def _read(model: "onnx.ModelProto") -> Graph:
    inferred = _inferred(model).graph
    shapes = dict(_known_shapes((*inferred.input, *inferred.value_info, *inferred.output)))
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in inferred.initializer}
    for node in inferred.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            shapes[node.output[0]] = tuple(node.attribute[0].t.dims)
    constants = {tensor.name for tensor in inferred.initializer}
    constants |= {tensor.values.name for tensor in inferred.sparse_initializer}
    constants.update(
        name for node in inferred.node if node.op_type in ("Shape", "Size") for name in node.output
    )
    graph = Graph((), shapes, frozenset(constants), tuple(value.name for value in inferred.output))
    nodes = [_Reader(node, graph).read() for node in inferred.node]
    return msgspec.structs.replace(graph, nodes=nodes)


def _inferred(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """A copy in floats, without the data of weights, with the shapes that follow."""
    import onnx  # noqa: PLC0415 - of an extra
    from onnx import inliner, shape_inference  # noqa: PLC0415

    slim = onnx.ModelProto()
    slim.CopyFrom(model)
    if slim.functions:
        slim = inliner.inline_local_functions(slim)
    for tensor in slim.graph.initializer:
        if math.prod(tensor.dims) > _MAX_SHAPE_ELEMENTS:
            bare = onnx.TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
            tensor.CopyFrom(bare)
    _fix_inputs(slim.graph)
    _to_floats(slim.graph)
    try:
        return shape_inference.infer_shapes(slim, data_prop=True)
    except (shape_inference.InferenceError, ValueError, RuntimeError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelGraphError(
            f"the shapes of the graph cannot be inferred: {reason.strip()}", "export the model again"
        ) from error


def _fix_inputs(graph: "onnx.GraphProto") -> None:
    """A free batch becomes 1; other free axes are refused."""
    held = {tensor.name for tensor in graph.initializer}
    free = False
    for value in graph.input:
        if value.name in held:
            continue
        for axis, extent in enumerate(value.type.tensor_type.shape.dim):
            if extent.dim_value > 0:
                continue
            if axis > 0:
                raise ModelGraphError(
                    f"axis {axis} of the input {value.name!r} has no fixed size",
                    "export the model with fixed sizes, or give them (--shape, --resolution); only the batch "
                    "may be free",
                )
            extent.dim_value = 1
            free = True
    if free:
        del graph.value_info[:]
        for value in graph.output:
            value.type.tensor_type.ClearField("shape")


def _to_floats(graph: "onnx.GraphProto") -> None:
    from onnx import TensorProto  # noqa: PLC0415 - of an extra

    integers = (TensorProto.INT8, TensorProto.UINT8)
    quantised = False
    sums: set[str] = set()
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in sums:
            node.op_type = "Identity"
            del node.attribute[:]
        elif node.op_type in ("ConvInteger", "MatMulInteger"):
            sums.update(node.output)
        if node.op_type not in _FLOAT_FORMS or node.domain not in _DOMAINS:
            continue
        quantised |= "Gelu" not in node.op_type
        node.op_type, places = _FLOAT_FORMS[node.op_type]
        node.domain = ""
        inputs = [node.input[place] for place in places if place < len(node.input)]
        node.input[:] = inputs
        for scale in node.output[1:]:
            graph.initializer.append(TensorProto(name=scale, data_type=TensorProto.FLOAT))
        del node.output[1:]
    if quantised:
        for value in (*graph.value_info, *graph.output):
            if value.type.tensor_type.elem_type in integers:
                value.type.tensor_type.elem_type = TensorProto.FLOAT


def _known_shapes(values: Iterable["onnx.ValueInfoProto"]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for value in values:
        tensor = value.type.tensor_type
        extents = tuple(extent.dim_value for extent in tensor.shape.dim)
        known = all(extent.HasField("dim_value") for extent in tensor.shape.dim)
        if tensor.HasField("shape") and known and min(extents, default=0) >= 0:
            yield value.name, extents


class _Reader:
    """Reads one node."""

    def __init__(self, node: "onnx.NodeProto", graph: Graph) -> None:
        self._node = node
        self._graph = graph
        self._plain = Node(
            node.name or next(iter(node.output), node.op_type),
            node.op_type,
            "unknown",
            tuple(node.input),
            tuple(node.output),
        )

    def read(self) -> Node:
        if self._node.domain not in _DOMAINS:
            return self._plain
        if (special := _SPECIAL.get(self._node.op_type)) is not None:
            try:
                return special(self)
            except (IndexError, StopIteration, ValueError, KeyError) as error:
                raise ModelGraphError(
                    f"the tensors of {self._plain.name!r} ({self._plain.operator}) do not fit it",
                    "export the model again",
                ) from error
        operator = self._node.op_type
        role = _ROLES.get(operator, "unknown")
        return self._as(role, kind=_MOVES.get(operator), function=operator.removeprefix("Reduce").lower())

    def _as(self, role: Role, *, kind: WorkKind | None = None, function: str = "", **counts: int) -> Node:
        return msgspec.structs.replace(self._plain, role=role, kind=kind, function=function, **counts)

    def limit(self) -> Node:
        """A minimum or maximum: with one number, a clipping."""
        constants = self._graph.constants.intersection(self._node.input)
        one = any(self._graph.elements(name) == 1 for name in constants)
        return self._as("clip" if one else "binary", function=self._node.op_type.lower())

    def convolution(self) -> Node:
        """A convolution, or a transposed one."""
        source, weights = self._node.input[:2]
        groups = self._integer("group", 1)
        shape = self._shape(weights)
        transposed = self._node.op_type == "ConvTranspose"
        kind: WorkKind
        if groups > 1:
            kind = "depthwise" if groups == self._shape(source)[1] else "grouped"
        else:
            kind = "pointwise" if math.prod(shape[2:]) == 1 else "spatial"
        each = math.prod(shape[1:])
        macs = each * self._graph.elements(source if transposed else self._node.output[0])
        return self._as("convolution", kind=kind, macs=macs)

    def product(self) -> Node:
        """A matrix product."""
        first = self._shape(self._node.input[0])
        inner = first[0] if self._integer("transA", 0) else first[-1]
        return self._as("product", macs=inner * self._graph.elements(self._node.output[0]))

    def einsum(self) -> Node:
        """A sum of products over all indices; of two tensors, and named by letters."""
        equation = next(a.s.decode() for a in self._node.attribute if a.name == "equation").replace(" ", "")
        terms = equation.split("->")[0].split(",")
        if len(terms) != 2 or "." in equation:
            return self._plain
        extents: dict[str, int] = {}
        for term, name in zip(terms, self._node.input, strict=True):
            extents |= zip(term, self._shape(name), strict=True)
        return self._as("product", macs=math.prod(extents.values()))

    def pool(self) -> Node:
        """A pooling with a window, which may be the whole map."""
        outputs = self._node.output[0]
        if math.prod(self._shape(outputs)[2:]) == 1:
            return self._as("reduce", function="mean")
        window = math.prod(next(a.ints for a in self._node.attribute if a.name == "kernel_shape"))
        return self._as("move", kind="window_pool", window=window * self._graph.elements(outputs))

    def norm(self) -> Node:
        """A softmax or a norm over rows."""
        operator = self._node.op_type
        shape = self._shape(self._node.input[0])
        if operator == "InstanceNormalization":
            rows = math.prod(shape[:2])
        elif operator == "GroupNormalization":
            rows = shape[0] * self._integer("num_groups", 1)
        elif operator in _NORMS:
            axis = self._integer("axis", -1)
            rows = math.prod(shape[: axis + len(shape) if axis < 0 else axis])
        else:
            axis = self._integer("axis", -1)
            rows = math.prod(shape) // max(shape[axis], 1)
        return self._as("norm", kind="layer_norm" if operator in _NORMS else "softmax", rows=rows)

    def _shape(self, name: str) -> tuple[int, ...]:
        self._graph.elements(name)
        return self._graph.shapes[name]

    def _integer(self, name: str, default: int) -> int:
        return next((int(a.i) for a in self._node.attribute if a.name == name), default)


_SPECIAL: Final[Mapping[str, Callable[[_Reader], Node]]] = {
    **dict.fromkeys(("Conv", "ConvTranspose"), _Reader.convolution),
    **dict.fromkeys(("MatMul", "Gemm"), _Reader.product),
    "Einsum": _Reader.einsum,
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), _Reader.pool),
    **dict.fromkeys(("Softmax", "LogSoftmax", *_NORMS), _Reader.norm),
    **dict.fromkeys(("Min", "Max"), _Reader.limit),
}
