"""The work of a graph: what is left of its operators when a runtime has folded and fused them.

Nothing is charged for what depends on constants alone, for what only renames elements (reshapes, and the
steps between floats and integers of a quantised graph), for a batch norm behind a convolution or the padding
before it, and for an addition or a factor that is one number, or one number a channel behind a product or a
norm. ``x * sigmoid(x)`` is one operator, ``silu``; so is every other ``x * f(x)``, and a layer norm that is
written in its parts.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import product
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.work.columns import OperatorWork, WorkKind, add_up
from hytnas_datasets.work.graph import Graph, Node

_FOLDS_CONSTANTS: Final = ("convolution", "product", "norm", "batch_norm")
_AFFINE: Final = ("add", "sub", "mul", "div")
_GATES: Final = ("function", "clip")
_Steps = tuple[tuple[int, tuple[str, ...]], ...]
"""From a node to the one that computes its input at a place, which is one of some functions."""

_ROOTS: Final[Mapping[str, tuple[_Steps, ...]]] = {
    "sqrt": ((),),
    "rsqrt": ((),),
    "reciprocal": (((0, ("sqrt",)),),),
}
_DEVIATIONS: Final[tuple[_Steps, ...]] = (
    ((0, ("mean",)), (0, ("pow", "mul", "square")), (0, ("sub",)), (1, ("mean",))),
    ((0, ("mean",)), (0, ("squared_difference",)), (1, ("mean",))),
)


class NodeWork(msgspec.Struct, frozen=True):
    """The work of one node, by the names that the file gives it."""

    name: str
    operator: str
    work: OperatorWork


class UnknownNode(msgspec.Struct, frozen=True):
    """A node that no kind of work stands for."""

    name: str
    operator: str


class GraphWork(msgspec.Struct, frozen=True):
    """What a network of a file makes a processor do.

    Attributes
    ----------
    nodes : tuple of NodeWork
        In the order of the file; what costs nothing is left out.
    unknown : tuple of UnknownNode
        Their work is not counted.
    """

    nodes: tuple[NodeWork, ...]
    unknown: tuple[UnknownNode, ...] = ()

    @property
    def columns(self) -> NDArray[np.float64]:
        """(c,) sums over the nodes, in the order of ``WORK_COLUMNS``."""
        return add_up(node.work for node in self.nodes)


def work_of_graph(graph: Graph) -> GraphWork:
    """The work of a graph.

    Raises
    ------
    ModelGraphError
        The shape of a tensor that counts is not known.

    Examples
    --------
    >>> nodes = (
    ...     Node("s", "Sigmoid", "function", ("x",), ("y",), function="sigmoid"),
    ...     Node("m", "Mul", "binary", ("x", "y"), ("z",), function="mul"),
    ... )
    >>> shapes = dict.fromkeys("xyz", (1, 8, 4, 4))
    >>> [node.work.kind for node in work_of_graph(Graph(nodes, shapes, frozenset(), ("z",))).nodes]
    ['silu']
    """
    return _Reading(graph).work()


class _Reading:
    """One way through a graph, with what was found out on it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._constants = set(graph.constants)
        self._nodes = [node for node in _needed(graph) if not self._is_constant(node)]
        self._readers = Counter(name for node in self._nodes for name in set(node.inputs))
        self._producers: dict[str, Node] = {}
        self._sources: dict[str, str] = {}
        """Tensor to the one that it holds the elements of, or is an affine function of."""
        self._absorbed: set[str] = set()
        self._joins: dict[str, Node] = {}
        for node in self._nodes:
            self._take(node)

    def work(self) -> GraphWork:
        counted, unknown = [], []
        for node in self._nodes:
            name = node.outputs[0]
            if name in self._sources or name in self._absorbed:
                continue
            kept = self._joined(node)
            if kept.role == "unknown":
                unknown.append(UnknownNode(kept.name, kept.operator))
            else:
                counted.append(NodeWork(kept.name, kept.operator, self._work(kept)))
        return GraphWork(tuple(counted), tuple(unknown))

    def _is_constant(self, node: Node) -> bool:
        if any(name and name not in self._constants for name in node.inputs):
            return False
        self._constants.update(node.outputs)
        return True

    def _take(self, node: Node) -> None:
        """Find out whether a node is part of another, in the order of the graph."""
        self._producers.update(dict.fromkeys(node.outputs, node))
        if node.role == "free" or self._is_folded(node):
            source = self._live(node)[0]
            self._sources.update(dict.fromkeys(node.outputs, source))
        elif node.role == "binary" and len(node.inputs) > 1:
            if node.function == "mul":
                self._join_gate(node)
            self._join_layer_norm(node)
        elif node.role == "convolution":
            self._join_padding(node)

    def _is_folded(self, node: Node) -> bool:
        """Whether a node disappears into the one before."""
        live = self._live(node)
        if node.role == "batch_norm":
            producer = self._producer(live[0])
            return producer is not None and producer.role == "convolution" and self._readers[live[0]] == 1
        if node.role != "binary" or node.function not in _AFFINE or len(live) != 1:
            return False
        constants = [name for name in node.inputs if name in self._constants]
        if node.function == "div" and node.inputs[0] in constants:
            return False
        if all(self._graph.elements(name) == 1 for name in constants):
            return True
        producer = self._producer(live[0])
        if producer is None or self._joined(producer).role not in _FOLDS_CONSTANTS:
            return False
        axes = sum(extent > 1 for extent in self._graph.shapes[constants[0]])
        return axes == 1 and self._graph.elements(node.outputs[0]) == self._graph.elements(live[0])

    def _joined(self, node: Node) -> Node:
        """What a node stands for, together with those that are absorbed into it."""
        return self._joins.get(node.outputs[0], node)

    def _join_gate(self, node: Node) -> None:
        """``x * f(x)``: one operator instead of two."""
        if len(node.inputs) != 2:
            return
        for x, gate in (node.inputs, node.inputs[::-1]):
            function = self._producer(gate)
            if (
                function is not None
                and function.role in _GATES
                and self._root(self._live(function)[0]) == self._root(x)
                and self._read_once(gate, function)
            ):
                self._absorbed.add(function.outputs[0])
                kind = "silu" if function.function == "sigmoid" else "activation"
                self._joins[node.outputs[0]] = msgspec.structs.replace(node, role="move", kind=kind)
                return

    def _read_once(self, tensor: str, producer: Node) -> bool:
        """Whether nothing else reads what lies between a tensor and the node that it comes from."""
        while self._readers[tensor] == 1:
            if tensor in producer.outputs:
                return True
            tensor = self._sources[tensor]
        return False

    def _join_padding(self, node: Node) -> None:
        """A convolution pads as it reads."""
        source = node.inputs[0]
        padding = self._producer(source)
        if padding is not None and padding.function == "pad" and self._read_once(source, padding):
            self._sources[padding.outputs[0]] = self._live(padding)[0]

    def _join_layer_norm(self, node: Node) -> None:
        """One operator instead of its parts, ``f`` being ``1 / sqrt(mean((x - mean(x)) ** 2) + epsilon)``.

        Both ``(x - mean(x)) * f`` and ``x * f - mean(x) * f`` are written.
        """
        first, second = map(self._producer, node.inputs[:2])
        if first is None or second is None:
            return
        if node.function in ("mul", "div") and first.function == "sub":
            parts = self._deviation(second)
        elif node.function in ("add", "sub") and first.function == second.function == "mul":
            shared = {self._root(name) for name in first.inputs} & {
                self._root(name) for name in second.inputs
            }
            scale = self._producer(shared.pop()) if len(shared) == 1 else None
            parts = [second, *self._deviation(scale)] if scale is not None else []
        else:
            return
        if parts and parts[-1].function == "mean":
            self._absorbed.update(part.outputs[0] for part in (first, *parts))
            rows = self._graph.elements(parts[-1].outputs[0])
            joined = msgspec.structs.replace(node, role="norm", kind="layer_norm", rows=rows)
            self._joins[node.outputs[0]] = joined

    def _deviation(self, scale: Node) -> list[Node]:
        """The parts of a standard deviation or its inverse, the mean last; none if it is no such."""
        for root, steps in product(_ROOTS.get(scale.function, ()), _DEVIATIONS):
            found = [scale]
            for place, functions in (*root, *steps):
                part = self._producer(found[-1].inputs[place])
                if part is None or part.function not in functions:
                    break
                found.append(part)
            else:
                return found
        return []

    def _root(self, tensor: str) -> str:
        while tensor in self._sources:
            tensor = self._sources[tensor]
        return tensor

    def _producer(self, tensor: str) -> Node | None:
        return self._producers.get(self._root(tensor))

    def _live(self, node: Node) -> list[str]:
        """The inputs that are computed."""
        return [name for name in node.inputs if name and name not in self._constants]

    def _work(self, node: Node) -> OperatorWork:
        live = self._live(node)
        written = sum(self._graph.elements(name) for name in node.outputs if name)
        if node.role in ("convolution", "product"):
            return self._product(node, live, written)
        read = sum(map(self._graph.elements, live))
        if node.role in ("function", "clip", "batch_norm", "reduce"):
            return OperatorWork(_KIND_OF_ROLE[node.role], read=read, written=written)
        if node.role == "binary":
            kind: WorkKind = "elementwise" if len(live) > 1 or node.function in _AFFINE else "activation"
            times = max(len(node.inputs) - 1, 1)
            return OperatorWork(kind, read=read, written=times * written, count=times)
        assert node.kind is not None
        return OperatorWork(node.kind, read=read, written=written, rows=node.rows, window=node.window)

    def _product(self, node: Node, live: list[str], written: int) -> OperatorWork:
        pair = node.inputs[:2]
        weights = sum(self._graph.elements(name) for name in pair if name in self._constants)
        read = sum(self._graph.elements(self._root(name)) for name in pair if name in live)
        kind = node.kind or ("linear" if weights else "matmul")
        return OperatorWork(kind, node.macs, read, written, weights)


_KIND_OF_ROLE: Final[Mapping[str, WorkKind]] = {
    "function": "activation",
    "clip": "relu",
    "batch_norm": "batch_norm",
    "reduce": "global_pool",
}


def _needed(graph: Graph) -> list[Node]:
    """The nodes that an output depends on, in their order."""
    read = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if read.intersection(node.outputs):
            read.update(node.inputs)
            kept.append(node)
    return kept[::-1]
