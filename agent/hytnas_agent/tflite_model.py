"""The graphs of a TFLite file, read within its bounds and without their weights.

A TFLite file is a FlatBuffer [format]_ after the schema [schema]_; the runtimes follow its offsets without
checking them all, so that a damaged file can kill the process. The positions of the fields below are the
schema's.

References
----------
.. [format] https://flatbuffers.dev/internals
.. [schema] https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/schema.fbs
"""

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hytnas_agent.regular_file import open_regular

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
MAX_ITEMS = 1_000_000
"""Of all lists together: lists that share their items could keep a reader busy for ever."""

_PLACEHOLDER_FOR_GREATER_OP_CODES = 127

T = TypeVar("T")


class TfliteFileError(ValueError):
    """The file is damaged, or no TFLite model."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of a graph.

    Attributes
    ----------
    name : str
    shape, signature : tuple of int
        ``signature`` has -1 where an axis is free; it is empty where none is.
    kind : int
        The schema's ``TensorType``.
    constant : bool
        Whether the file holds its elements.
    shape_at, signature_at : int
        Where in the file the sizes of ``shape`` and ``signature`` stand, as int32; 0 where there are none.
    """

    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    kind: int
    constant: bool
    shape_at: int = 0
    signature_at: int = 0


@dataclass(frozen=True)
class Operator:
    """An operator of a graph.

    Attributes
    ----------
    code : int
        The schema's ``BuiltinOperator``.
    custom : str
        The name of one that the schema does not know.
    inputs : tuple of int
        Positions of tensors, -1 for one that is left out.
    outputs : tuple of int
    options : Table or None
        Readable as long as the file is open.
    """

    code: int
    custom: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: "Table | None"


@dataclass(frozen=True)
class Graph:
    """Tensors, and operators each after those that it reads; ``signatures`` are the names it is called by."""

    tensors: list[Tensor]
    operators: list[Operator]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    signatures: tuple[str, ...] = ()


@contextmanager
def open_tflite(path: Path) -> Iterator[list[Graph]]:
    """The graphs of a file, the main one first, without taking more of it into memory than its tables.

    Raises
    ------
    TfliteFileError
        It is damaged, or no TFLite model.
    OSError
        It cannot be read.
    """
    with open_regular(path) as file:
        if path.stat().st_size < 16:
            raise TfliteFileError("the file is too short for a TFLite model")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content[4:8] != IDENTIFIER:
                raise TfliteFileError("the file is not a TFLite model: it lacks the identifier TFL3")
            try:
                yield _read_graphs(_Content(content))
            except struct.error as error:
                raise TfliteFileError("the file is damaged: an offset leads out of it") from error


def _read_graphs(content: "_Content") -> list[Graph]:
    model = Table(content, content.offset(0))
    if (version := model.integer(0, "<I")) != SCHEMA_VERSION:
        raise TfliteFileError(f"the file has schema version {version}, not {SCHEMA_VERSION}")
    codes = [(_builtin_code(code), code.text(1)) for code in model.tables(1)]
    filled = [_filled(buffer, len(content)) for buffer in model.tables(4)]
    signatures = [(signature.integer(4, "<I"), signature.text(2)) for signature in model.tables(7)]
    graphs = [
        _read_graph(graph, codes, filled, tuple(name for place, name in signatures if place == number))
        for number, graph in enumerate(model.tables(2))
    ]
    if not graphs:
        raise TfliteFileError("the file holds no graph")
    return graphs


def _read_graph(
    graph: "Table", codes: list[tuple[int, str]], filled: list[bool], signatures: tuple[str, ...]
) -> Graph:
    tensors = [
        Tensor(
            tensor.text(3),
            tensor.integers(0),
            tensor.integers(7),
            tensor.integer(1, "<b"),
            _item(filled, tensor.integer(2, "<I"), "buffer"),
            tensor.vector(0, 4)[0],
            tensor.vector(7, 4)[0],
        )
        for tensor in graph.tables(0)
    ]
    operators = [
        Operator(
            *_item(codes, operator.integer(0, "<I"), "operator code"),
            operator.integers(1),
            operator.integers(2),
            operator.table(4),
        )
        for operator in graph.tables(3)
    ]
    inputs, outputs = graph.integers(1), graph.integers(2)
    for index in (*inputs, *outputs, *(index for operator in operators for index in operator.outputs)):
        _item(tensors, index, "tensor")
    for operator in operators:
        for index in operator.inputs:
            if index != -1:
                _item(tensors, index, "tensor")
    return Graph(tensors, operators, inputs, outputs, signatures)


def _builtin_code(code: "Table") -> int:
    """The operator; the old field of one byte holds it where it fits, for files before the wide field."""
    old = code.integer(0, "<b")
    return max(old, code.integer(3, "<i")) if old in (0, _PLACEHOLDER_FOR_GREATER_OP_CODES) else old


def _filled(buffer: "Table", file_bytes: int) -> bool:
    """Whether a buffer holds data, in the file's tables or (where ``start`` > 1) behind them."""
    _, count = buffer.vector(0)
    start, size = buffer.integer(1, "<Q"), buffer.integer(2, "<Q")
    if start > 1 and start + size > file_bytes:
        raise TfliteFileError("the file is damaged: the end of its weights is missing")
    return count > 0 or (start > 1 and size > 0)


def _item(items: list[T], index: int, what: str) -> T:
    if not 0 <= index < len(items):
        raise TfliteFileError(f"the file is damaged: {what} {index} of {len(items)}")
    return items[index]


class _Content:
    """The bytes of the file, and how many items of lists may still be read."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._items_left = MAX_ITEMS

    def __len__(self) -> int:
        return len(self._content)

    def integer(self, position: int, layout: str) -> int:
        """A number; struct.error where it does not lie within the file."""
        (number,) = struct.unpack_from(layout, self._content, position)
        return int(number)

    def integers(self, position: int, count: int) -> tuple[int, ...]:
        """``count`` int32."""
        self._items_left -= count
        if self._items_left < 0:
            raise TfliteFileError(f"the file is damaged: its lists have more than {MAX_ITEMS} items")
        return struct.unpack_from(f"<{count}i", self._content, position)

    def text(self, position: int, count: int) -> str:
        """``count`` bytes of text."""
        return self._content[position : position + count].decode(errors="replace")

    def offset(self, position: int) -> int:
        """The position that the unsigned offset at ``position`` leads to."""
        return position + self.integer(position, "<I")


class Table:
    """A FlatBuffer table; a field that is absent has the value 0 or no items."""

    def __init__(self, content: _Content, position: int) -> None:
        self._content = content
        self._position = position
        self._fields = position - content.integer(position, "<i")
        if self._fields < 0:
            raise TfliteFileError("the file is damaged: a table without fields")
        self._size = content.integer(self._fields, "<H")

    def _field(self, number: int) -> int | None:
        entry = 4 + 2 * number
        if entry + 2 > self._size:
            return None
        offset = self._content.integer(self._fields + entry, "<H")
        return self._position + offset if offset else None

    def integer(self, number: int, layout: str) -> int:
        """A number."""
        position = self._field(number)
        return 0 if position is None else self._content.integer(position, layout)

    def vector(self, number: int, item_bytes: int = 1) -> tuple[int, int]:
        """Where a vector's items begin and how many there are; they lie within the file."""
        position = self._field(number)
        if position is None:
            return 0, 0
        start = self._content.offset(position)
        count = self._content.integer(start, "<I")
        if start + 4 + count * item_bytes > len(self._content):
            raise TfliteFileError("the file is damaged: its end is missing")
        return start + 4, count

    def text(self, number: int) -> str:
        """A string; bytes that are no UTF-8 are replaced."""
        return self._content.text(*self.vector(number))

    def table(self, number: int) -> "Table | None":
        """A table, if there is one."""
        position = self._field(number)
        return None if position is None else Table(self._content, self._content.offset(position))

    def integers(self, number: int) -> tuple[int, ...]:
        """A vector of int32."""
        return self._content.integers(*self.vector(number, 4))

    def tables(self, number: int) -> "list[Table]":
        """A vector of tables."""
        start, count = self.vector(number, 4)
        offsets = self._content.integers(start, count)
        return [
            Table(self._content, start + 4 * index + (offset & 0xFFFFFFFF))
            for index, offset in enumerate(offsets)
        ]
