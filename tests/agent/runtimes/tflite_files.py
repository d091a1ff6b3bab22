"""TFLite files of one or two operators, written with the ``flatbuffers`` package after the schema.

`relu` is the file that the agent tries TFLite runtimes with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import flatbuffers
import numpy as np
from flatbuffers import number_types

FLOAT32, INT32, INT8, INT4, BFLOAT16 = 0, 2, 9, 17, 18
DEQUANTIZE, FULLY_CONNECTED, RELU, CUSTOM, GATHER, CAST = 6, 9, 19, 32, 36, 53
FULLY_CONNECTED_OPTIONS, GATHER_OPTIONS, CAST_OPTIONS = 8, 23, 37
_FLAGS = {
    "int8": number_types.Int8Flags,
    "uint8": number_types.Uint8Flags,
    "int32": number_types.Int32Flags,
    "uint32": number_types.Uint32Flags,
    "uint64": number_types.Uint64Flags,
}


@dataclass(frozen=True)
class Call:
    """An operator with the numbers of its tensors; options are type and value by place in the schema."""

    operator: int
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    options_type: int = 0


class Writer:
    """One graph: its tensors, then its operators."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(256)
        self._tensors: list[int] = []
        self._buffers: list[bytes] = [b""]

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: int = FLOAT32,
        *,
        data: bytes = b"",
        scale: float = 0.0,
        signature: Sequence[int] = (),
    ) -> int:
        """Add a tensor; its number."""
        b = self._builder
        if data:
            self._buffers.append(data)
        fields = {
            0: ("offset", self._ints(shape)),
            1: ("int8", kind),
            2: ("uint32", len(self._buffers) - 1 if data else 0),
            3: ("offset", b.CreateString(name)),
        }
        if scale:
            fields[4] = ("offset", self._quantisation(scale))
        if signature:
            fields[7] = ("offset", self._ints(signature))
        self._tensors.append(self._table(8, fields))
        return len(self._tensors) - 1

    def finish(
        self,
        calls: Sequence[Call],
        *,
        custom: str = "",
        version: int = 1,
        schema: int = 3,
        outside: tuple[int, int] | None = None,
        signatures: Sequence[str] = (),
        inputs: Sequence[int] = (),
    ) -> bytes:
        """The whole file; ``outside`` adds a buffer of (start, size) behind the tables.

        The graph is there once for each of ``signatures``. Its input is the first of the first operator,
        unless ``inputs`` says otherwise.
        """
        b = self._builder
        operators = [self._operator(number, call) for number, call in enumerate(calls)]
        graph = self._table(
            5,
            {
                0: ("offset", self._tables(self._tensors)),
                1: ("offset", self._ints(inputs or calls[0].inputs[:1])),
                2: ("offset", self._ints(calls[-1].outputs)),
                3: ("offset", self._tables(operators)),
            },
        )
        codes = [self._code(call.operator, custom, version) for call in calls]
        buffers = [
            self._table(3, {0: ("offset", int(b.CreateByteVector(data)))} if data else {})
            for data in self._buffers
        ]
        if outside is not None:
            buffers.append(self._table(3, {1: ("uint64", outside[0]), 2: ("uint64", outside[1])}))
        fields = {
            0: ("uint32", schema),
            1: ("offset", self._tables(codes)),
            2: ("offset", self._tables([graph] * max(1, len(signatures)))),
            4: ("offset", self._tables(buffers)),
        }
        if signatures:
            named = [self._signature(*each) for each in enumerate(signatures)]
            fields[7] = ("offset", self._tables(named))
        model = self._table(8, fields)
        b.Finish(model, file_identifier=b"TFL3")
        return bytes(b.Output())

    def _signature(self, number: int, name: str) -> int:
        return self._table(5, {2: ("offset", self._builder.CreateString(name)), 4: ("uint32", number)})

    def _operator(self, number: int, call: Call) -> int:
        fields = {
            0: ("uint32", number),
            1: ("offset", self._ints(call.inputs)),
            2: ("offset", self._ints(call.outputs)),
        }
        if call.options_type:
            options = self._table(1 + max(call.options, default=0), dict(call.options))
            fields |= {3: ("uint8", call.options_type), 4: ("offset", options)}
        return self._table(5, fields)

    def _code(self, operator: int, custom: str, version: int) -> int:
        fields = {0: ("int8", min(operator, 127)), 2: ("int32", version), 3: ("int32", operator)}
        if custom:
            fields[1] = ("offset", self._builder.CreateString(custom))
        return self._table(4, fields)

    def _quantisation(self, scale: float) -> int:
        b = self._builder
        scales = b.CreateNumpyVector(np.array([scale], np.float32))
        zeros = b.CreateNumpyVector(np.array([0], np.int64))
        return self._table(7, {2: ("offset", scales), 3: ("offset", zeros)})

    def _ints(self, values: Sequence[int]) -> int:
        return int(self._builder.CreateNumpyVector(np.array(values, np.int32)))

    def _tables(self, offsets: Sequence[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def _table(self, slots: int, fields: dict[int, tuple[str, int]]) -> int:
        b = self._builder
        b.StartObject(slots)
        for number, (kind, value) in fields.items():
            if kind == "offset":
                b.PrependUOffsetTRelativeSlot(number, value, 0)
            else:
                b.PrependSlot(_FLAGS[kind], number, value, 0)
        return int(b.EndObject())


def relu(
    *,
    kind: int = FLOAT32,
    signature: Sequence[int] = (),
    version: int = 1,
    schema: int = 3,
    outside: tuple[int, int] | None = None,
    signatures: Sequence[str] = (),
    shape: Sequence[int] = (1, 4),
) -> bytes:
    """``y = RELU(x)``, x of shape 1 x 4; quantised with the scale 1 where ``kind`` is INT8."""
    writer = Writer()
    scale = 1.0 if kind == INT8 else 0.0
    x = writer.tensor("x", shape, kind, scale=scale, signature=signature)
    y = writer.tensor("y", shape, kind, scale=scale)
    return writer.finish(
        [Call(RELU, [x], [y])], version=version, schema=schema, outside=outside, signatures=signatures
    )


def cast(kind: int) -> bytes:
    """``y = CAST(x)`` of floats to another type."""
    writer = Writer()
    x, y = writer.tensor("x", (1, 4)), writer.tensor("y", (1, 4), kind)
    return writer.finish([Call(CAST, [x], [y], {1: ("int8", kind)}, CAST_OPTIONS)])


def gather(rows: int) -> bytes:
    """``y = GATHER(table, ids)`` from so many rows."""
    writer = Writer()
    table = writer.tensor("table", (rows, 2), data=np.zeros((rows, 2), np.float32).tobytes())
    ids, y = writer.tensor("ids", (1, 4), INT32), writer.tensor("y", (1, 4, 2))
    return writer.finish([Call(GATHER, [table, ids], [y], {}, GATHER_OPTIONS)], inputs=[ids])


def unknown_operator(code: int) -> bytes:
    """An operator of that number, which the schema of later versions may have."""
    writer = Writer()
    x, y = writer.tensor("x", (1, 4)), writer.tensor("y", (1, 4))
    return writer.finish([Call(code, [x], [y])])


def linear(weights: np.ndarray, *, scale: float = 0.0) -> bytes:
    """``y = FULLY_CONNECTED(x, weights)`` of floats; with int8 weights it is of dynamic range."""
    writer = Writer()
    x = writer.tensor("x", (1, weights.shape[1]))
    w = _weights(writer, weights, scale)
    y = writer.tensor("y", (1, weights.shape[0]))
    return writer.finish([Call(FULLY_CONNECTED, [x, w, -1], [y], {}, FULLY_CONNECTED_OPTIONS)])


def weight_only(weights: np.ndarray, *, scale: float) -> bytes:
    """``y = FULLY_CONNECTED(x, DEQUANTIZE(weights))``: int8 weights, computed with as floats."""
    writer = Writer()
    x = writer.tensor("x", (1, weights.shape[1]))
    w = _weights(writer, weights, scale)
    floats = writer.tensor("floats", weights.shape)
    y = writer.tensor("y", (1, weights.shape[0]))
    product = Call(FULLY_CONNECTED, [x, floats, -1], [y], {}, FULLY_CONNECTED_OPTIONS)
    return writer.finish([Call(DEQUANTIZE, [w], [floats]), product])


def _weights(writer: Writer, weights: np.ndarray, scale: float) -> int:
    kind = INT8 if weights.dtype == np.int8 else FLOAT32
    return writer.tensor("w", weights.shape, kind, data=weights.tobytes(), scale=scale)


def custom(name: str) -> bytes:
    """One operator that no runtime knows."""
    writer = Writer()
    x, y = writer.tensor("x", (1, 4)), writer.tensor("y", (1, 4))
    return writer.finish([Call(CUSTOM, [x], [y])], custom=name)
