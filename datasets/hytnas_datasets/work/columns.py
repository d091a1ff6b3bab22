"""What a network makes a processor do: for each kind of operator, how much of what, added up.

A latency is a sum over operators, and an operator's time follows from a few quantities: multiply-accumulates,
elements that are read, written and kept as weights, and how often a kernel is started. Elements, not bytes: a
kernel's cost of an element is what a predictor learns, for the precision that it was measured in.

A network of a space has these columns by its layer plan (`plan_work`), an ONNX or TFLite file by its graph.
Both count the operators that are left when a runtime has prepared the graph: a batch norm is folded into the
convolution before it, a bias is part of its product, a factor that is one constant is folded in, a reshape
moves nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

WorkKind = Literal[
    "spatial", "pointwise", "depthwise", "grouped", "linear", "matmul", "softmax", "layer_norm", "batch_norm",
    "silu", "relu", "activation", "elementwise", "concat", "rearrange", "resize", "global_pool",
    "window_pool",
]  # fmt: skip
"""Kinds of operators that differ in their cost.

``spatial``, ``pointwise`` (1x1), ``depthwise`` and ``grouped`` are convolutions; ``linear`` multiplies with
weights, ``matmul`` two activations; ``relu`` stands for all that runtimes fuse into the operator before
(ReLU, ReLU6, clipping), ``silu`` for ``x * sigmoid(x)``, ``activation`` for other functions of one element;
``elementwise`` takes two tensors; ``rearrange`` copies elements to other places (transposes, splits, slices,
padding, space to depth).
"""

WORK_KINDS: Final[tuple[WorkKind, ...]] = get_args(WorkKind)

_PRODUCT: Final = ("macs", "read", "written", "weights", "count")
_NORM: Final = ("written", "rows", "count")
_MOVE: Final = ("read", "written", "count")
_EACH: Final = ("written", "count")
QUANTITIES: Final[Mapping[WorkKind, tuple[str, ...]]] = {
    "spatial": _PRODUCT,
    "pointwise": _PRODUCT,
    "depthwise": _PRODUCT,
    "grouped": _PRODUCT,
    "linear": _PRODUCT,
    "matmul": ("macs", "read", "written", "count"),
    "softmax": _NORM,
    "layer_norm": _NORM,
    "batch_norm": _EACH,
    "silu": _EACH,
    "relu": _EACH,
    "activation": _EACH,
    "elementwise": _EACH,
    "concat": _EACH,
    "rearrange": _EACH,
    "resize": _MOVE,
    "global_pool": _MOVE,
    "window_pool": ("read", "written", "window", "count"),
}
"""Which quantities of a kind are columns: those that can differ from each other by more than a factor."""

WORK_COLUMNS: Final = tuple(f"{kind} {quantity}" for kind in WORK_KINDS for quantity in QUANTITIES[kind])

KIND_COLUMNS: Final[Mapping[WorkKind, list[int]]] = {
    kind: [WORK_COLUMNS.index(f"{kind} {quantity}") for quantity in QUANTITIES[kind]] for kind in WORK_KINDS
}
"""Where the columns of a kind are, one for each of its quantities."""

_PLACES: Final = {kind: tuple(zip(KIND_COLUMNS[kind], QUANTITIES[kind], strict=True)) for kind in WORK_KINDS}


class OperatorWork(msgspec.Struct, frozen=True):
    """What one operator does, or several of a kind together.

    Attributes
    ----------
    kind : WorkKind
    macs : int
        Multiply-accumulates.
    read, written : int
        Elements of activations; ``read`` leaves weights out.
    weights : int
        Elements of the kernel or matrix, without a bias.
    rows : int
        Rows that are normalised, each by itself.
    window : int
        Elements that a window pooling looks at, over all of its outputs.
    count : int
        How often a kernel is started.
    """

    kind: WorkKind
    macs: int = 0
    read: int = 0
    written: int = 0
    weights: int = 0
    rows: int = 0
    window: int = 0
    count: int = 1


def add_up(operators: Iterable[OperatorWork]) -> NDArray[np.float64]:
    """(c,) sums over operators, in the order of ``WORK_COLUMNS``.

    Examples
    --------
    >>> row = add_up([OperatorWork("silu", written=10), OperatorWork("silu", written=5)])
    >>> dict(zip(WORK_COLUMNS, row.tolist()))["silu written"]
    15.0
    """
    row = [0] * len(WORK_COLUMNS)
    for operator in operators:
        for position, quantity in _PLACES[operator.kind]:
            row[position] += getattr(operator, quantity)
    return np.array(row, dtype=np.float64)
