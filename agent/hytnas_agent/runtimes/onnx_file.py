"""What an ONNX file says of the types of its numbers, read without the onnx package.

A model is a protocol buffer: a row of fields, each a tag that says its number and how it is coded, and a
value (https://protobuf.dev/programming-guides/encoding, field numbers from onnx.proto). Only the way to the
types is followed; weights are stepped over. A damaged file ends the reading where it is damaged, and so does
one of more than ``MAX_FIELDS`` fields: the runtime that loads it says what is wrong.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hytnas_agent.regular_file import open_regular

FLOAT16 = 10
"""``TensorProto.DataType.FLOAT16``."""

MAX_FIELDS = 1_000_000
"""That are read of a file; more tiny ones could keep a reader busy for long."""

TOO_MANY_FIELDS = f"it has more than {MAX_FIELDS} fields: it is damaged, or no model"

_MODEL_IR_VERSION, _MODEL_GRAPH = 1, 7
_MAX_MODEL_FIELD = 100
"""The number of any field that a model may have; those of today go to 26."""
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT = 1, 5, 11
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INTEGER, _ATTRIBUTE_TENSOR = 1, 3, 5
_TENSOR_DIMS, _TENSOR_NAME = 1, 8
_VALUE_NAME, _WAY_TO_SHAPE = 1, (2, 1, 2)  # ValueInfoProto.type, TypeProto.tensor_type, Tensor.shape
_WAYS_TO_TYPES = (
    (_GRAPH_INITIALIZER, (2,)),  # TensorProto.data_type
    (_GRAPH_INPUT, (2, 1, 1)),  # ValueInfoProto.type, TypeProto.tensor_type, Tensor.elem_type
    (_GRAPH_NODE, (5, 5, 2)),  # NodeProto.attribute, AttributeProto.t, TensorProto.data_type
)
# TensorProto.external_data, of a weight or a constant: entries of a key and a value.
_WAYS_TO_ENTRIES = ((_GRAPH_INITIALIZER, (13,)), (_GRAPH_NODE, (5, 5, 13)))
_MESSAGES: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 8: "Entry", 14: "Entry", 20: "Training", 25: "Function"},
    "Graph": {
        1: "Node", 5: "Tensor", 11: "Value", 12: "Value", 13: "Value", 14: "Annotation", 15: "Sparse",
        16: "Entry",
    },
    "Node": {5: "Attribute", 9: "Entry"},
    "Attribute": {
        5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 14: "Type", 15: "Type", 22: "Sparse",
        23: "Sparse",
    },
    "Function": {7: "Node", 9: "Entry", 11: "Attribute", 12: "Value", 14: "Entry"},
    "Training": {1: "Graph", 2: "Graph", 3: "Entry", 4: "Entry"},
    "Tensor": {13: "Entry", 16: "Entry"},
    "Sparse": {1: "Tensor", 2: "Tensor"},
    "Value": {2: "Type", 4: "Entry"},
    "Type": {1: "TensorType", 4: "Holder", 5: "Map", 8: "TensorType", 9: "Holder"},
    "TensorType": {2: "Shape"},
    "Holder": {1: "Type"},
    "Map": {2: "Type"},
    "Shape": {1: "Entry"},
    "Annotation": {2: "Entry"},
    "Entry": {},
}  # fmt: skip
"""The message in each field of a message that holds one; an entry holds none."""
_KEY, _VALUE = 1, 2
_VARINT, _LENGTH = 0, 2
_FIXED_BYTES = {1: 8, 5: 4}
_MAX_VARINT_BYTES = 10

Span = tuple[int, int]


def element_types(path: Path) -> set[int]:
    """The ``TensorProto.DataType`` of every weight, constant and input of the main graph.

    Raises OSError where the file cannot be read.
    """
    with _opened(path) as reader:
        return {
            value
            for graph in reader.parts(reader.whole, _MODEL_GRAPH)
            for number, way in _WAYS_TO_TYPES
            for part in reader.parts(graph, number)
            for value in reader.values(part, way)
        }


def flaw(path: Path) -> str:
    """Why a file can be no ONNX model, in words, by the outermost of its fields; empty where it may be one.

    Raises OSError where it cannot be read.
    """
    with _opened(path) as reader:
        found = {number for number, _ in reader.fields(reader.whole)}
        known = bool(found & {_MODEL_IR_VERSION, _MODEL_GRAPH}) and max(found) <= _MAX_MODEL_FIELD
        if reader.exhausted:
            return TOO_MANY_FIELDS
        if reader.cut_in is not None:
            beginning = known or reader.cut_in == _MODEL_GRAPH
            return "its end is missing: copy or download it again" if beginning else "it is no ONNX model"
        if not known:
            return "it is no ONNX model"
        return "" if _MODEL_GRAPH in found else "it holds no graph"


def has_too_many_fields(path: Path) -> bool:
    """Whether a model has more than ``MAX_FIELDS`` fields: to take it apart could use up time and memory.

    All of its messages are looked into, which a device had better leave to the host. Raises OSError.
    """
    with _opened(path) as reader:
        left: list[tuple[str, Span]] = [("Model", reader.whole)]
        while left:
            kind, span = left.pop()
            inner = _MESSAGES[kind]
            for number, value in reader.fields(span):
                if number in inner and not isinstance(value, int):
                    left.append((inner[number], value))
        return reader.exhausted


def inputs_without_shape(path: Path) -> set[str]:
    """The names of the main graph's inputs of which the file does not say how many dimensions they have.

    Raises OSError where it cannot be read.
    """
    with _opened(path) as reader:
        return {
            reader.text(name)
            for graph in reader.parts(reader.whole, _MODEL_GRAPH)
            for value in reader.parts(graph, _GRAPH_INPUT)
            for name in reader.parts(value, _VALUE_NAME)
            if not any(True for _ in reader.ends(value, _WAY_TO_SHAPE))
        }


@dataclass(frozen=True)
class OnnxNode:
    """An operator of the main graph.

    ``axis`` is its attribute of that name, 0 where it has none; ``shape`` that of a tensor in its attributes.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    axis: int
    shape: tuple[int, ...]


def read_nodes(path: Path) -> tuple[list[OnnxNode], dict[str, tuple[int, ...]]]:
    """The operators of the main graph, each after those that it reads, and the shapes of constants by name.

    Raises OSError where the file cannot be read.
    """
    with _opened(path) as reader:
        graphs = list(reader.parts(reader.whole, _MODEL_GRAPH))
        nodes = [_node(reader, node) for graph in graphs for node in reader.parts(graph, _GRAPH_NODE)]
        weights = [part for graph in graphs for part in reader.parts(graph, _GRAPH_INITIALIZER)]
        shapes = {
            reader.text(name): reader.integers(weight, _TENSOR_DIMS)
            for weight in weights
            for name in reader.parts(weight, _TENSOR_NAME)
        }
        return nodes, shapes | {node.outputs[0]: node.shape for node in nodes if node.shape and node.outputs}


def _node(reader: "_Reader", node: Span) -> OnnxNode:
    axes = (
        value
        for attribute in reader.parts(node, _NODE_ATTRIBUTE)
        if [reader.text(name) for name in reader.parts(attribute, _ATTRIBUTE_NAME)] == ["axis"]
        for value in reader.values(attribute, (_ATTRIBUTE_INTEGER,))
    )
    inputs, outputs, operators = (
        tuple(reader.text(part) for part in reader.parts(node, number))
        for number in (_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR)
    )
    tensors = reader.ends(node, (_NODE_ATTRIBUTE, _ATTRIBUTE_TENSOR))
    shape = next((reader.integers(tensor, _TENSOR_DIMS) for tensor in tensors), ())
    return OnnxNode("".join(operators), inputs, outputs, _signed(next(axes, 0)), shape)


def data_files(path: Path) -> list[str]:
    """The names of the files beside ``path`` in which its main graph keeps weights, sorted.

    Raises OSError where the file cannot be read.
    """
    with _opened(path) as reader:
        return sorted(
            {
                reader.text(value)
                for graph in reader.parts(reader.whole, _MODEL_GRAPH)
                for number, way in _WAYS_TO_ENTRIES
                for part in reader.parts(graph, number)
                for entry in reader.ends(part, way)
                if [reader.text(key) for key in reader.parts(entry, _KEY)] == ["location"]
                for value in reader.parts(entry, _VALUE)
            }
        )


@contextmanager
def _opened(path: Path) -> "Iterator[_Reader]":
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size == 0:
            yield _Reader(b"")
            return
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with content:
        yield _Reader(content)


class _Reader:
    """Reads the fields of a file, ``MAX_FIELDS`` of them at most.

    Attributes
    ----------
    whole : (int, int)
        Where the file begins and ends.
    cut_in : int or None
        The number of a field that does not end within its message, the last one such; 0 where not even that
        can be read.
    """

    def __init__(self, content: mmap.mmap | bytes) -> None:
        self.whole = (0, len(content))
        self.cut_in: int | None = None
        self._content = content
        self._left = MAX_FIELDS

    @property
    def exhausted(self) -> bool:
        """Whether there were more fields than are read."""
        return not self._left

    def text(self, span: Span) -> str:
        """What lies there, as text."""
        return self._content[slice(*span)].decode(errors="replace")

    def ends(self, span: Span, way: tuple[int, ...]) -> Iterator[Span]:
        """The parts at the end of a way of field numbers."""
        number, *rest = way
        for part in self.parts(span, number):
            if rest:
                yield from self.ends(part, tuple(rest))
            else:
                yield part

    def values(self, span: Span, way: tuple[int, ...]) -> Iterator[int]:
        """The integers at the end of a way of field numbers."""
        *before, number = way
        for part in self.ends(span, tuple(before)) if before else (span,):
            for found, value in self.fields(part):
                if found == number and isinstance(value, int):
                    yield value

    def integers(self, span: Span, number: int) -> tuple[int, ...]:
        """A list of integers, of which each is a field, or all are one."""
        found: list[int] = []
        for field, value in self.fields(span):
            if field != number:
                continue
            if isinstance(value, int):
                found.append(value)
                continue
            place, end = value
            while place < end and self._left:
                self._left -= 1
                item, place = _varint(self._content, place, end)
                found.append(item)
        return tuple(map(_signed, found))

    def parts(self, span: Span, number: int) -> Iterator[Span]:
        for found, value in self.fields(span):
            if found == number and not isinstance(value, int):
                yield value

    def fields(self, span: Span) -> Iterator[tuple[int, int | Span]]:
        """Number and value of every field of a message: an integer, or where the bytes of the value lie."""
        place, end = span
        while place < end and self._left:
            self._left -= 1
            tag, place = _varint(self._content, place, end)
            number, coding = tag >> 3, tag & 7
            if coding in _FIXED_BYTES:
                place += _FIXED_BYTES[coding]
                continue
            value, place = _varint(self._content, place, end)
            size = value if coding == _LENGTH else 0
            if coding not in (_VARINT, _LENGTH) or place + size > end:
                self.cut_in = number if coding in (_VARINT, _LENGTH) else 0
                return
            yield number, value if coding == _VARINT else (place, place + size)
            place += size


def _signed(value: int) -> int:
    """An int64 that was read as if it had no sign."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _varint(content: mmap.mmap | bytes, place: int, end: int) -> tuple[int, int]:
    """An integer and the place after it, which is past ``end`` where it is cut off."""
    value = 0
    for index in range(min(_MAX_VARINT_BYTES, end - place)):
        byte = content[place + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, place + index + 1
    return 0, end + 1
