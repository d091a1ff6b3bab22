"""What an ONNX file says of the types of its numbers, read without the onnx package.

A model is a protocol buffer: a row of fields, each a tag that says its number and how it is coded, and a
value (https://protobuf.dev/programming-guides/encoding, field numbers from onnx.proto). Only the way to the
types is followed; weights are stepped over. A damaged file ends the reading where it is damaged, and so does
one of more than ``MAX_FIELDS`` fields: the runtime that loads it says what is wrong.
"""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from hytnas_agent.regular_file import open_regular

FLOAT16 = 10
"""``TensorProto.DataType.FLOAT16``."""

MAX_FIELDS = 1_000_000
"""That are read of a file; more tiny ones could keep a reader busy for long."""

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT = 1, 5, 11
_WAYS_TO_TYPES = (
    (_GRAPH_INITIALIZER, (2,)),  # TensorProto.data_type
    (_GRAPH_INPUT, (2, 1, 1)),  # ValueInfoProto.type, TypeProto.tensor_type, Tensor.elem_type
    (_GRAPH_NODE, (5, 5, 2)),  # NodeProto.attribute, AttributeProto.t, TensorProto.data_type
)
_VARINT, _LENGTH = 0, 2
_FIXED_BYTES = {1: 8, 5: 4}
_MAX_VARINT_BYTES = 10

Span = tuple[int, int]


def element_types(path: Path) -> set[int]:
    """The ``TensorProto.DataType`` of every weight, constant and input of the main graph.

    Raises OSError where the file cannot be read.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size == 0:
            return set()
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with content:
        reader, whole = _Reader(content), (0, len(content))
        found: set[int] = set()
        for graph in reader.parts(whole, _MODEL_GRAPH):
            for number, way in _WAYS_TO_TYPES:
                for part in reader.parts(graph, number):
                    found.update(reader.values(part, way))
        return found


class _Reader:
    """Reads the fields of a file, ``MAX_FIELDS`` of them at most."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._left = MAX_FIELDS

    def values(self, span: Span, way: tuple[int, ...]) -> Iterator[int]:
        """The integers at the end of a way of field numbers."""
        number, *rest = way
        if rest:
            for part in self.parts(span, number):
                yield from self.values(part, tuple(rest))
            return
        for found, value in self._fields(span):
            if found == number and isinstance(value, int):
                yield value

    def parts(self, span: Span, number: int) -> Iterator[Span]:
        for found, value in self._fields(span):
            if found == number and not isinstance(value, int):
                yield value

    def _fields(self, span: Span) -> Iterator[tuple[int, int | Span]]:
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
                return
            yield number, value if coding == _VARINT else (place, place + size)
            place += size


def _varint(content: mmap.mmap, place: int, end: int) -> tuple[int, int]:
    """An integer and the place after it, which is past ``end`` where it is cut off."""
    value = 0
    for index in range(min(_MAX_VARINT_BYTES, end - place)):
        byte = content[place + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, place + index + 1
    return 0, end + 1
