"""Fragments: one stage as a list of layers with one input and one output, before it has a place in a plan."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from hytnas_datasets.plan.layers import Attributes, Counts, Kind, Layer, Shape, count_layer

ENTRY = -1
"""Input index that stands for whatever the fragment is attached to."""


@dataclass(frozen=True)
class Fragment:
    """Layers of one stage, the last of which gives its output.

    Inputs are positions within the fragment, or ``ENTRY``.
    """

    layers: tuple[Layer, ...]

    @property
    def shape(self) -> Shape:
        """Shape of the output."""
        return self.layers[-1].shape

    @cached_property
    def counts(self) -> Counts:
        """Sum over the layers."""
        return sum(map(count_layer, self.layers), start=Counts())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of what is computed: names, stages and roles do not enter it."""
        computed = [(layer.kind, layer.inputs, layer.shape, layer.attributes) for layer in self.layers]
        return hashlib.sha256(msgspec.json.encode(computed, order="sorted")).hexdigest()


@dataclass
class FragmentBuilder:
    """Appends layers to a fragment of ``stage`` that takes a tensor of ``entry_shape``."""

    stage: str
    entry_shape: Shape
    layers: list[Layer] = field(default_factory=list)

    def shape(self, index: int) -> Shape:
        """Output shape of a layer, or of what the fragment is attached to."""
        return self.entry_shape if index == ENTRY else self.layers[index].shape

    def add(
        self,
        kind: Kind,
        name: str,
        inputs: tuple[int, ...],
        shape: Shape,
        *,
        attributes: Attributes = (),
        role: str,
    ) -> int:
        """Append a layer called ``<stage>/<name>`` and return its position."""
        index = len(self.layers)
        shapes = tuple([self.shape(i) for i in inputs])
        self.layers.append(
            Layer(kind, f"{self.stage}/{name}", index, inputs, shapes, shape, attributes, self.stage, role)
        )
        return index

    def build(self) -> Fragment:
        """The finished fragment."""
        return Fragment(tuple(self.layers))
