"""A network's graph as a file holds it, in the terms that its work is counted in.

A reader of a format (`onnx_graph`, `tflite_graph`) says of every node what role it plays, and what only the
format knows: multiply-accumulates, rows, windows. What runtimes fold and fuse is the same for all formats:
`graph_work` knows it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from hytnas_datasets.errors import ModelGraphError
from hytnas_datasets.work.columns import WorkKind

Role = Literal[
    "convolution",  # kind, macs; inputs: map, weights, bias
    "product",  # macs; inputs: two matrices, bias
    "norm",  # kind (softmax, layer_norm), rows
    "batch_norm",
    "function",  # of each element; function says which
    "clip",  # what runtimes fuse into the operator before
    "binary",  # of two or more tensors; function says which
    "reduce",  # function says which
    "move",  # kind
    "free",  # the same elements in the same order
    "unknown",
]


class Node(msgspec.Struct, frozen=True):
    """One operator of a graph.

    Attributes
    ----------
    name : str
        As the file names it, or its first output where it does not.
    operator : str
        As the format calls it, e.g. ``Conv`` or ``CONV_2D``.
    role : Role
    inputs, outputs : tuple of str
        Names of tensors; an input left out is an empty string.
    kind : WorkKind, optional
    function : str
        In lower case, e.g. ``sigmoid``, ``mul``, ``mean``.
    macs, rows, window : int
        See ``OperatorWork``.
    """

    name: str
    operator: str
    role: Role
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    kind: WorkKind | None = None
    function: str = ""
    macs: int = 0
    rows: int = 0
    window: int = 0


class Graph(msgspec.Struct, frozen=True):
    """Nodes, each after those that it reads, and what is known of their tensors.

    Attributes
    ----------
    nodes : sequence of Node
    shapes : mapping
        Shape by name of a tensor, the batch axis included; what is not known is missing.
    constants : frozenset of str
        Tensors that the file holds.
    outputs : tuple of str
    """

    nodes: Sequence[Node]
    shapes: Mapping[str, tuple[int, ...]]
    constants: frozenset[str]
    outputs: tuple[str, ...]

    def elements(self, tensor: str) -> int:
        """How many elements a tensor has.

        Raises
        ------
        ModelGraphError
            Its shape is not known.
        """
        if tensor not in self.shapes:
            raise ModelGraphError(
                f"the shape of the tensor {tensor!r} does not follow from the file",
                "export the model with fixed sizes, or save it with the shapes of all its tensors",
            )
        return math.prod(self.shapes[tensor])
