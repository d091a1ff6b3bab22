"""What a TFLite file says about itself, read within its bounds before a runtime is trusted with it.

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
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
MAX_ITEMS = 1_000_000
"""Of all lists together: lists that share their items could keep a reader busy for ever."""

_FLOAT32, _FLOAT16, _UINT8, _INT8, _INT4 = 0, 1, 3, 9, 17
_EIGHT_BITS_OR_LESS = (_UINT8, _INT8, _INT4)
_DEQUANTIZE = 6
_PLACEHOLDER_FOR_GREATER_OP_CODES = 127

T = TypeVar("T")


class TfliteFileError(ValueError):
    """The file is damaged, or no TFLite model."""


@dataclass(frozen=True)
class TfliteFacts:
    """What matters before a model is loaded.

    Attributes
    ----------
    precision : "fp32", "fp16" or "int8"
        Of the constants: "int8" if some of those that operators read have 8 bits or less.
    dynamic_range : bool
        Whether an operator computes floats from weights of 8 bits, quantising its inputs as it runs.
    """

    precision: str
    dynamic_range: bool


def read_tflite(path: Path) -> TfliteFacts:
    """Read a file without taking more of it into memory than its tables.

    Raises
    ------
    TfliteFileError
        It is damaged, or no TFLite model.
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        if path.stat().st_size < 16:
            raise TfliteFileError("the file is too short for a TFLite model")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content[4:8] != IDENTIFIER:
                raise TfliteFileError("the file is not a TFLite model: it lacks the identifier TFL3")
            return _facts(_Content(content))


def _facts(content: "_Content") -> TfliteFacts:
    try:
        model = _Table(content, content.offset(0))
        if (version := model.integer(0, "<I")) != SCHEMA_VERSION:
            raise TfliteFileError(f"the file has schema version {version}, not {SCHEMA_VERSION}")
        codes = [_builtin_code(code) for code in model.tables(1)]
        filled = [_filled(buffer, len(content)) for buffer in model.tables(4)]
        graphs = model.tables(2)
        if not graphs:
            raise TfliteFileError("the file holds no graph")
        found = [_read_graph(graph, codes, filled) for graph in graphs]
    except struct.error as error:
        raise TfliteFileError("the file is damaged: an offset leads out of it") from error
    kinds = {kind for kinds, _ in found for kind in kinds}
    precision = "int8" if kinds & set(_EIGHT_BITS_OR_LESS) else "fp16" if _FLOAT16 in kinds else "fp32"
    return TfliteFacts(precision, any(dynamic for _, dynamic in found))


def _read_graph(graph: "_Table", codes: list[int], filled: list[bool]) -> tuple[set[int], bool]:
    """The types of the constants that operators read, and whether one computes in dynamic range."""
    tensors = [(tensor.integer(1, "<b"), tensor.integer(2, "<I")) for tensor in graph.tables(0)]
    for index in (*graph.integers(1), *graph.integers(2)):
        _item(tensors, index, "tensor")
    constants: set[int] = set()
    dynamic = False
    for operator in graph.tables(3):
        code = _item(codes, operator.integer(0, "<I"), "operator code")
        weights = set()
        floats = False
        for index in operator.integers(1):
            if index == -1:  # an optional input left out
                continue
            kind, buffer = _item(tensors, index, "tensor")
            if _item(filled, buffer, "buffer"):
                weights.add(kind)
            else:
                floats |= kind == _FLOAT32
        for index in operator.integers(2):
            _item(tensors, index, "tensor")
        constants |= weights
        dynamic |= code != _DEQUANTIZE and floats and bool(weights & set(_EIGHT_BITS_OR_LESS))
    return constants, dynamic


def _builtin_code(code: "_Table") -> int:
    """The operator; the old field of one byte holds it where it fits, for files before the wide field."""
    old = code.integer(0, "<b")
    return max(old, code.integer(3, "<i")) if old in (0, _PLACEHOLDER_FOR_GREATER_OP_CODES) else old


def _filled(buffer: "_Table", file_bytes: int) -> bool:
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

    def offset(self, position: int) -> int:
        """The position that the unsigned offset at ``position`` leads to."""
        return position + self.integer(position, "<I")


class _Table:
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

    def integers(self, number: int) -> tuple[int, ...]:
        """A vector of int32."""
        return self._content.integers(*self.vector(number, 4))

    def tables(self, number: int) -> "list[_Table]":
        """A vector of tables."""
        start, count = self.vector(number, 4)
        offsets = self._content.integers(start, count)
        return [
            _Table(self._content, start + 4 * index + (offset & 0xFFFFFFFF))
            for index, offset in enumerate(offsets)
        ]
