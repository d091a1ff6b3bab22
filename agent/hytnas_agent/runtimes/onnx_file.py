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
# TensorProto.external_data, of a weight or a constant: entries of a key and a value.
_WAYS_TO_ENTRIES = ((_GRAPH_INITIALIZER, (13,)), (_GRAPH_NODE, (5, 5, 13)))
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
    """Reads the fields of a file, ``MAX_FIELDS`` of them at most."""

    def __init__(self, content: mmap.mmap | bytes) -> None:
        self.whole = (0, len(content))
        self._content = content
        self._left = MAX_FIELDS

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
            for found, value in self._fields(part):
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


def _varint(content: mmap.mmap | bytes, place: int, end: int) -> tuple[int, int]:
    """An integer and the place after it, which is past ``end`` where it is cut off."""
    value = 0
    for index in range(min(_MAX_VARINT_BYTES, end - place)):
        byte = content[place + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, place + index + 1
    return 0, end + 1
