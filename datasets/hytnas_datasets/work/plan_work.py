"""The work of a network of a space, read from its layer plan.

It is the work of the ONNX file that the plan is exported to, where attention is written head by head, and
patches are unfolded by one operator for the map and one for the tokens.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.plan.layers import Kind, Layer, count_layer, size
from hytnas_datasets.work.columns import OperatorWork, WorkKind, add_up


def work_of(layers: Iterable[Layer]) -> NDArray[np.float64]:
    """(c,) work of some layers, a plan for example, in the order of ``WORK_COLUMNS``.

    Examples
    --------
    >>> from hytnas_datasets.plan import Task, build_plan
    >>> from hytnas_datasets.spaces import get_space
    >>> plan = build_plan(get_space("hyt").sample(1, np.random.default_rng(0))[0], Task())
    >>> bool(work_of(plan.layers).sum() > plan.macs)
    True
    """
    return add_up(operator for layer in layers for operator in layer_work(layer))


def layer_work(layer: Layer) -> Iterator[OperatorWork]:
    """The operators that a layer becomes; none for the image and for a batch norm, which is folded away."""
    written = size(layer.shape)
    if layer.kind in ("conv", "linear"):
        yield _product(layer)
    elif layer.kind == "attention":
        yield from _attention(layer)
    elif layer.kind in ("unfold", "fold"):
        yield OperatorWork("rearrange", written=2 * written, count=2)
    elif layer.kind in _PLAIN:
        read = sum(map(size, layer.input_shapes))
        rows = written // layer.shape[-1]
        yield OperatorWork(_PLAIN[layer.kind], read=read, written=written, rows=rows)


_PLAIN: dict[Kind, WorkKind] = {
    "silu": "silu",
    "layer_norm": "layer_norm",
    "add": "elementwise",
    "concat": "concat",
    "resize": "resize",
    "global_pool": "global_pool",
}


def _product(layer: Layer) -> OperatorWork:
    """A convolution or a product with weights."""
    written = size(layer.shape)
    macs = count_layer(layer).macs
    kind: WorkKind
    if layer.kind == "linear":
        kind, positions = "linear", written // layer.shape[-1]
    else:
        kind, positions = _convolution(layer), written // layer.shape[0]
    return OperatorWork(kind, macs, size(layer.input_shapes[0]), written, macs // positions)


def _convolution(layer: Layer) -> WorkKind:
    groups = layer.integer("groups")
    if groups > 1:
        return "depthwise" if groups == layer.input_shapes[0][0] else "grouped"
    return "pointwise" if layer.integer("kernel") == 1 else "spatial"


def _attention(layer: Layer) -> Iterator[OperatorWork]:
    """Split into heads; for each its keys transposed, scores, softmax and weighted sum; heads joined."""
    groups, tokens, width = layer.shape
    heads = layer.integer("heads")
    elements = groups * tokens * width
    scores = groups * heads * tokens * tokens
    yield OperatorWork("rearrange", written=3 * elements)
    yield OperatorWork("rearrange", written=elements, count=heads)
    macs = count_layer(layer).macs
    yield OperatorWork("matmul", macs, 3 * elements + scores, scores + elements, count=2 * heads)
    yield OperatorWork("softmax", written=scores, rows=groups * heads * tokens, count=heads)
    if heads > 1:
        yield OperatorWork("concat", written=elements)
