"""In which range whole numbers may lie that are made up for a model's inputs, as far as its graph shows it.

An index must lie below the number of rows that it chooses from, and a divisor may not be 0: a number that is
neither would end the run, which says nothing about the model. What an input becomes is followed through
operators that leave its numbers as they are.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hytnas_agent.records import ModelFormat
from hytnas_agent.runtimes.onnx_file import OnnxNode, read_nodes
from hytnas_agent.tflite_model import Graph, Operator, TfliteFileError, open_tflite


@dataclass(frozen=True)
class Range:
    """Whole numbers from ``low`` up to, and without, ``high``; ``None`` where nothing bounds them."""

    low: int | None = None
    high: int | None = None

    def within(self, other: "Range") -> "Range":
        """What is in both."""
        lows = [each for each in (self.low, other.low) if each is not None]
        highs = [each for each in (self.high, other.high) if each is not None]
        return Range(max(lows, default=None), min(highs, default=None))


@dataclass(frozen=True)
class _Step:
    """What an operator does: the names of what it demands something of, and of what it passes on."""

    demands: Mapping[str, Range]
    passes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


_DIVISOR: Final = Range(low=1)

_ONNX_PASSING: Final = frozenset(
    {
        "Cast", "Concat", "Expand", "Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Tile",
        "Transpose", "Unsqueeze",
    }
)  # fmt: skip
_ONNX_DIVIDING: Final = frozenset({"Div", "Mod"})
_ONNX_CHOOSING: Final = frozenset({"Gather", "GatherElements"})

# Of the schema's ``BuiltinOperator``.
_CONCATENATION, _EMBEDDING_LOOKUP, _GATHER, _DIV, _FLOOR_DIV, _FLOOR_MOD = 2, 7, 36, 42, 90, 95
_TFLITE_PASSING: Final = frozenset({_CONCATENATION, 22, 39, 43, 45, 49, 53, 65, 69, 70})
"""The others: RESHAPE, TRANSPOSE, SQUEEZE, STRIDED_SLICE, SPLIT, CAST, SLICE, TILE, EXPAND_DIMS."""


def read_ranges(path: Path, model_format: ModelFormat) -> dict[str, Range]:
    """The range of each input of a model file of which its graph demands one, by the input's name.

    Nothing where the file cannot be read, which its runtime will say.
    """
    try:
        if model_format == "onnx":
            nodes, shapes = read_nodes(path)
            return _ranges(step for node in nodes for step in _onnx_step(node, shapes))
        with open_tflite(path) as graphs:
            graph = graphs[0]
            return _ranges(step for operator in graph.operators for step in _tflite_step(operator, graph))
    except (OSError, TfliteFileError):
        return {}


def _ranges(steps: Iterable[_Step]) -> dict[str, Range]:
    """What the steps demand of every name that no step before has given."""
    sources: dict[str, tuple[str, ...]] = {}
    found: dict[str, Range] = {}
    for step in steps:
        for name, demanded in step.demands.items():
            for source in sources.get(name, (name,)):
                found[source] = found.get(source, Range()).within(demanded)
        passed = tuple(dict.fromkeys(s for name in step.passes for s in sources.get(name, (name,))))
        sources |= dict.fromkeys(step.outputs, passed)
    return found


def _onnx_step(node: OnnxNode, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[_Step]:
    demands: dict[str, Range] = {}
    if node.operator in _ONNX_CHOOSING and len(node.inputs) == 2:
        rows = _along(shapes.get(node.inputs[0], ()), node.axis)
        if rows is not None:
            demands[node.inputs[1]] = Range(low=0, high=rows)
    elif node.operator in _ONNX_DIVIDING and len(node.inputs) == 2:
        demands[node.inputs[1]] = _DIVISOR
    passing = node.operator in _ONNX_PASSING
    passes = node.inputs if node.operator == "Concat" else node.inputs[:1]
    yield _Step(demands, passes if passing else (), node.outputs)


def _tflite_step(operator: Operator, graph: Graph) -> Iterator[_Step]:
    inputs = [graph.tensors[index] for index in operator.inputs if index != -1]
    demands: dict[str, Range] = {}
    if operator.code == _GATHER and len(inputs) == 2:
        axis = operator.options.integer(0, "<i") if operator.options is not None else 0
        rows = _along(inputs[0].shape, axis)
        if rows is not None:
            demands[inputs[1].name] = Range(low=0, high=rows)
    elif operator.code == _EMBEDDING_LOOKUP and len(inputs) == 2:
        demands[inputs[0].name] = Range(low=0, high=_along(inputs[1].shape, 0))
    elif operator.code in (_DIV, _FLOOR_DIV, _FLOOR_MOD) and len(inputs) == 2:
        demands[inputs[1].name] = _DIVISOR
    passes = inputs if operator.code == _CONCATENATION else inputs[:1]
    yield _Step(
        demands,
        tuple(tensor.name for tensor in passes) if operator.code in _TFLITE_PASSING else (),
        tuple(graph.tensors[index].name for index in operator.outputs),
    )


def _along(shape: tuple[int, ...], axis: int) -> int | None:
    """The size of an axis; ``None`` where the shape does not have it, or it is 0."""
    return shape[axis] or None if -len(shape) <= axis < len(shape) else None
