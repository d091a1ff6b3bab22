"""One layer of a plan, and what it costs: parameters, multiply-accumulates, activations.

Activations are counted as in fvcore's ``activation_count``: elements written by convolutions, linear layers
and the two matrix products of attention (Radosavovic et al., "Designing network design spaces", CVPR 2020).
Norms, activation functions, additions and resizing count no multiply-accumulates.
"""

from typing import Literal

import msgspec

Kind = Literal[
    "input",
    "conv",
    "batch_norm",
    "silu",
    "add",
    "concat",
    "resize",
    "unfold",
    "fold",
    "layer_norm",
    "linear",
    "attention",
    "global_pool",
]
Shape = tuple[int, ...]
Attributes = tuple[tuple[str, int | float], ...]


class Layer(msgspec.Struct, frozen=True):
    """One operation of the network.

    Attributes
    ----------
    kind : str
    name : str
        Scope and leaf separated by slashes, e.g. ``stage3/transformer1/attention/qkv``.
    index : int
        Position in the plan.
    inputs : tuple of int
        Positions of the layers whose outputs this one takes.
    input_shapes, shape : tuples of int
        Without the batch axis: ``(channels, height, width)`` of a map, ``(patch * patch, patches, width)``
        of tokens (attention runs over ``patches``), ``(features,)`` of a vector.
    attributes : tuple of (name, number)
    stage : str
        ``stem``, ``stage1`` ... ``stage5`` or ``head``.
    role : str
        What the layer does in its block, e.g. ``depthwise``, ``qkv``.
    """

    kind: Kind
    name: str
    index: int
    inputs: tuple[int, ...]
    input_shapes: tuple[Shape, ...]
    shape: Shape
    attributes: Attributes
    stage: str
    role: str

    def attribute(self, name: str) -> int | float:
        """The value of an attribute; KeyError if the layer has none of that name."""
        for key, value in self.attributes:
            if key == name:
                return value
        raise KeyError(name)

    def integer(self, name: str) -> int:
        """The value of an attribute that counts something."""
        return int(self.attribute(name))


class Counts(msgspec.Struct, frozen=True):
    """Learnable parameters, multiply-accumulates and activations (elements) for one input."""

    params: int = 0
    macs: int = 0
    activations: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.params + other.params, self.macs + other.macs, self.activations + other.activations
        )


def count_layer(layer: Layer) -> Counts:
    """Exact cost of one layer.

    A convolution of kernel k from c to c' channels in g groups has ``c' * (c / g) * k^2`` weights and as many
    multiply-accumulates per output position; attention over n tokens of width d has ``2 * n^2 * d``
    multiply-accumulates (scores and weighted sum) for each of the ``patch^2`` token groups.
    """
    if layer.kind == "conv":
        outputs, height, width = layer.shape
        weights = (
            outputs * (layer.input_shapes[0][0] // layer.integer("groups")) * layer.integer("kernel") ** 2
        )
        params = weights + outputs * layer.integer("bias")
        return Counts(params, weights * height * width, outputs * height * width)
    if layer.kind == "linear":
        inputs, outputs = layer.input_shapes[0][-1], layer.shape[-1]
        rows = size(layer.shape) // outputs
        return Counts((inputs + layer.integer("bias")) * outputs, rows * inputs * outputs, rows * outputs)
    if layer.kind == "attention":
        groups, tokens, width = layer.shape
        scores = groups * tokens * tokens * layer.integer("heads")
        return Counts(0, 2 * groups * tokens * tokens * width, scores + groups * tokens * width)
    if layer.kind == "batch_norm":
        return Counts(params=2 * layer.shape[0])
    if layer.kind == "layer_norm":
        return Counts(params=2 * layer.shape[-1])
    return Counts()


def size(shape: Shape) -> int:
    """Number of elements of a tensor of this shape."""
    elements = 1
    for extent in shape:
        elements *= extent
    return elements
