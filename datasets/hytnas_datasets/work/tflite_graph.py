"""The work of a TFLite model, read from its graph; nothing of it is executed and no weight is read.

Maps are (batch, height, width, channels). The positions of the options are the schema's, see
`hytnas_agent.tflite_model`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from hytnas_agent.tflite_model import Graph as FileGraph
from hytnas_agent.tflite_model import Operator, TfliteFileError, open_tflite
from hytnas_datasets.errors import ModelGraphError
from hytnas_datasets.work.columns import WorkKind
from hytnas_datasets.work.graph import Graph, Node, Role
from hytnas_datasets.work.graph_work import GraphWork, work_of_graph

_SAME_ELEMENTS: Final = {6: "DEQUANTIZE", 22: "RESHAPE", 43: "SQUEEZE", 70: "EXPAND_DIMS", 114: "QUANTIZE"}
_FUNCTIONS: Final = {
    8: "FLOOR", 14: "LOGISTIC", 28: "TANH", 47: "EXP", 53: "CAST", 54: "PRELU", 59: "NEG", 66: "SIN",
    73: "LOG", 75: "SQRT", 76: "RSQRT", 92: "SQUARE", 98: "LEAKY_RELU", 101: "ABS", 104: "CEIL", 108: "COS",
    111: "ELU", 116: "ROUND", 117: "HARD_SWISH", 150: "GELU", 158: "SIGN",
}  # fmt: skip
_CLIPS: Final = {19: "RELU", 20: "RELU_N1_TO_1", 21: "RELU6", 152: "RELU_0_TO_1"}
_BINARY: Final = {
    0: "ADD", 18: "MUL", 41: "SUB", 42: "DIV", 78: "POW", 99: "SQUARED_DIFFERENCE", 106: "ADD_N",
    55: "MAXIMUM", 57: "MINIMUM", 58: "LESS", 61: "GREATER", 62: "GREATER_EQUAL", 63: "LESS_EQUAL",
    64: "SELECT", 71: "EQUAL", 72: "NOT_EQUAL", 90: "FLOOR_DIV", 95: "FLOOR_MOD", 123: "SELECT_V2",
}  # fmt: skip
_REDUCTIONS: Final = {
    40: "MEAN", 56: "ARG_MAX", 74: "SUM", 79: "ARG_MIN", 81: "REDUCE_PROD", 82: "REDUCE_MAX", 89: "REDUCE_MIN"
}  # fmt: skip
_REARRANGE: Final = {
    5: "DEPTH_TO_SPACE", 26: "SPACE_TO_DEPTH", 34: "PAD", 36: "GATHER", 37: "BATCH_TO_SPACE_ND",
    38: "SPACE_TO_BATCH_ND", 39: "TRANSPOSE", 45: "STRIDED_SLICE", 49: "SPLIT", 60: "PADV2", 65: "SLICE",
    69: "TILE", 88: "UNPACK", 100: "MIRROR_PAD", 102: "SPLIT_V", 130: "BROADCAST_TO",
}  # fmt: skip
_CONCAT: Final = {2: "CONCATENATION", 83: "PACK"}
_RESIZE: Final = {23: "RESIZE_BILINEAR", 97: "RESIZE_NEAREST_NEIGHBOR"}
_SPECIAL_NAMES: Final = {
    1: "AVERAGE_POOL_2D", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 9: "FULLY_CONNECTED", 17: "MAX_POOL_2D",
    25: "SOFTMAX", 50: "LOG_SOFTMAX", 67: "TRANSPOSE_CONV", 77: "SHAPE", 126: "BATCH_MATMUL",
}  # fmt: skip
_UNKNOWN: Final = {
    11: "L2_NORMALIZATION", 12: "L2_POOL_2D", 13: "LOCAL_RESPONSE_NORMALIZATION", 16: "LSTM", 48: "TOPK_V2",
    107: "GATHER_ND", 118: "IF", 119: "WHILE", 206: "STABLEHLO_COMPOSITE",
}  # fmt: skip

_CUSTOM: Final = 32
_NAMES: Final[Mapping[int, str]] = {
    **_SAME_ELEMENTS, **_FUNCTIONS, **_CLIPS, **_BINARY, **_REDUCTIONS, **_REARRANGE, **_CONCAT, **_RESIZE,
    **_SPECIAL_NAMES, **_UNKNOWN,
}  # fmt: skip
_ROLES: Final[Mapping[int, Role]] = {
    **dict.fromkeys(_SAME_ELEMENTS, "free"),
    **dict.fromkeys(_FUNCTIONS, "function"),
    **dict.fromkeys(_CLIPS, "clip"),
    **dict.fromkeys(_BINARY, "binary"),
    **dict.fromkeys(_REDUCTIONS, "reduce"),
    **dict.fromkeys((*_REARRANGE, *_CONCAT, *_RESIZE), "move"),
}
_KINDS: Final[Mapping[int, WorkKind]] = {
    **dict.fromkeys(_REARRANGE, "rearrange"),
    **dict.fromkeys(_CONCAT, "concat"),
    **dict.fromkeys(_RESIZE, "resize"),
}
_FUNCTION_WORDS: Final = {"logistic": "sigmoid", "padv2": "pad"}
_FUSED_PLACES: Final = {
    0: 0, 1: 5, 2: 1, 3: 3, 4: 4, 9: 0, 17: 5, 18: 0, 41: 0, 42: 0, 67: 3,
}  # fmt: skip
"""Where the options of an operator name the activation that is fused into it."""

_FUSED_TANH: Final = 4


def work_of_tflite(path: Path) -> GraphWork:
    """The work of the main graph of a TFLite file; a free batch axis counts as 1.

    Raises
    ------
    ModelGraphError
        The file is damaged or no TFLite model, or an axis of an input other than the batch is free.
    OSError
        The file cannot be read.
    """
    try:
        with open_tflite(path) as graphs:
            return work_of_graph(_read(graphs[0]))
    except TfliteFileError as error:
        raise ModelGraphError(str(error), "export or copy it again") from error


def _read(file: FileGraph) -> Graph:
    for index in file.inputs:
        tensor = file.tensors[index]
        if any(extent < 0 for extent in tensor.signature[1:]):
            raise ModelGraphError(
                f"an axis of the input {tensor.name!r} has no fixed size",
                "export the model with fixed sizes; only the batch may be free",
            )
    if any(extent < 0 for tensor in file.tensors for extent in tensor.shape):
        raise TfliteFileError("the file is damaged: a tensor has a negative size")
    names = [f"{tensor.name}:{index}" for index, tensor in enumerate(file.tensors)]
    shapes = dict(zip(names, (tensor.shape for tensor in file.tensors), strict=True))
    constants = {name for name, tensor in zip(names, file.tensors, strict=True) if tensor.constant}
    constants.update(
        names[index] for operator in file.operators if operator.code == _SHAPE for index in operator.outputs
    )
    graph = Graph((), shapes, frozenset(constants), tuple(names[index] for index in file.outputs))
    nodes = [node for operator in file.operators for node in _Reader(operator, names, shapes).read()]
    return msgspec.structs.replace(graph, nodes=nodes)


_SHAPE: Final = 77


class _Reader:
    """Reads one operator."""

    def __init__(self, operator: Operator, names: list[str], shapes: dict[str, tuple[int, ...]]) -> None:
        self._operator = operator
        self._shapes = shapes
        self._outputs = tuple(names[index] for index in operator.outputs)
        called = operator.custom if operator.code == _CUSTOM else _NAMES.get(operator.code)
        self._plain = Node(
            self._outputs[0].rpartition(":")[0] if self._outputs else "",
            called or f"operator {operator.code}",
            "unknown",
            tuple(names[index] if index >= 0 else "" for index in operator.inputs),
            self._outputs,
        )

    def read(self) -> Iterator[Node]:
        """The operator, and the activation that is fused into it."""
        node = self._node()
        options, place = self._operator.options, _FUSED_PLACES.get(self._operator.code)
        fused = options.integer(place, "<b") if options is not None and place is not None else 0
        if not fused:
            yield node
            return
        output = node.outputs[0]
        between = f"{output} before its activation"
        self._shapes[between] = self._shapes[output]
        yield msgspec.structs.replace(node, outputs=(between,))
        role: Role = "function" if fused == _FUSED_TANH else "clip"
        yield Node(node.name, f"{node.operator} activation", role, (between,), (output,))

    def _node(self) -> Node:
        code = self._operator.code
        if (special := _SPECIAL.get(code)) is not None:
            try:
                return special(self)
            except (IndexError, KeyError, ValueError) as error:
                raise ModelGraphError(
                    f"the tensors of {self._plain.name!r} ({self._plain.operator}) do not fit it",
                    "export the model again",
                ) from error
        word = self._plain.operator.lower()
        return self._as(
            _ROLES.get(code, "unknown"), kind=_KINDS.get(code), function=_FUNCTION_WORDS.get(word, word)
        )

    def _as(self, role: Role, *, kind: WorkKind | None = None, function: str = "", **counts: int) -> Node:
        return msgspec.structs.replace(self._plain, role=role, kind=kind, function=function, **counts)

    def convolution(self) -> Node:
        """``weights``: (outputs, height, width, inputs of a group)."""
        height, width, each = self._shape(1)[1:]
        if self._shape(0)[-1] > each:
            kind: WorkKind = "depthwise" if each == 1 else "grouped"
        else:
            kind = "pointwise" if height == width == 1 else "spatial"
        return self._as("convolution", kind=kind, macs=self._written() * height * width * each)

    def depthwise(self) -> Node:
        """``weights``: (1, height, width, outputs)."""
        height, width = self._shape(1)[1:3]
        return self._as("convolution", kind="depthwise", macs=self._written() * height * width)

    def transposed(self) -> Node:
        """Inputs: the output's shape, the weights (outputs, height, width, inputs), the map, a bias."""
        shape, weights, source, *bias = self._plain.inputs
        outputs, height, width, _ = self._shapes[weights]
        macs = math.prod(self._shapes[source]) * outputs * height * width
        kind: WorkKind = "pointwise" if height == width == 1 else "spatial"
        node = self._as("convolution", kind=kind, macs=macs)
        return msgspec.structs.replace(node, inputs=(source, weights, *bias, shape))

    def fully_connected(self) -> Node:
        """``weights``: (outputs, inputs)."""
        return self._as("product", macs=self._written() * self._shape(1)[-1])

    def matmul(self) -> Node:
        """Of matrices, the first of which may be transposed."""
        options = self._operator.options
        transposed = options is not None and options.integer(0, "<b") != 0
        return self._as("product", macs=self._written() * self._shape(0)[-2 if transposed else -1])

    def pool(self) -> Node:
        """A pooling with a window, which may be the whole map."""
        options = self._operator.options
        if options is None or math.prod(self._shapes[self._outputs[0]][1:3]) == 1:
            return self._as("reduce", function="mean")
        window = options.integer(3, "<i") * options.integer(4, "<i")
        return self._as("move", kind="window_pool", window=window * self._written())

    def softmax(self) -> Node:
        """Over the last axis."""
        return self._as("norm", kind="softmax", rows=math.prod(self._shape(0)[:-1]))

    def _shape(self, place: int) -> tuple[int, ...]:
        return self._shapes[self._plain.inputs[place]]

    def _written(self) -> int:
        return math.prod(self._shapes[self._outputs[0]])


_SPECIAL: Final[Mapping[int, Callable[[_Reader], Node]]] = {
    1: _Reader.pool,
    3: _Reader.convolution,
    4: _Reader.depthwise,
    9: _Reader.fully_connected,
    17: _Reader.pool,
    25: _Reader.softmax,
    50: _Reader.softmax,
    67: _Reader.transposed,
    126: _Reader.matmul,
}
