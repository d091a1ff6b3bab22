"""Stages of a network: frozen specifications, and the fragment each one gives."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from hytnas_datasets.errors import PlanError
from hytnas_datasets.plan.blocks import (
    convolution,
    inverted_residual,
    linear,
    mobilevit_block,
    token_shape,
    transformer_layer,
)
from hytnas_datasets.plan.fragment import ENTRY, Fragment, FragmentBuilder
from hytnas_datasets.plan.layers import Shape

SMALLEST_PATCH = 2
STEM_CHANNELS = 16
HEAD_EXPANSION = 4


class Stage(Hashable, Protocol):
    """A stage of a network, hashable: its layers depend on it and on the shape it receives alone."""

    @property
    def name(self) -> str:
        """How the family names the stage."""
        ...

    def fragment(self, entry: Shape, /) -> Fragment:
        """Layers from a map (for the first stage, the image) of shape ``entry``; PlanError if none fit."""
        ...


@runtime_checkable
class RepeatingStage(Protocol):
    """A stage that holds a block several times: what it costs is the rest, and so many times the block."""

    @property
    def rest(self) -> Stage:
        """The stage without the repetitions; it gives a map of the same shape."""
        ...

    @property
    def block(self) -> Stage:
        """One repetition, as a stage that receives the map that the rest gives."""
        ...

    @property
    def times(self) -> int:
        """How many repetitions there are."""
        ...


@dataclass(frozen=True, slots=True)
class Stem:
    """3x3 convolution from the image to 16 channels."""

    in_channels: int
    stride: int
    name: str = "stem"

    def fragment(self, entry: Shape) -> Fragment:
        """Layers from the image of shape ``entry``."""
        builder = FragmentBuilder(self.name, entry)
        image = builder.add("input", "image", (), entry, role="input")
        convolution(builder, "embed", image, STEM_CHANNELS, kernel=3, stride=self.stride, role="stem")
        return builder.build()


@dataclass(frozen=True, slots=True)
class ConvolutionStage:
    """``blocks`` inverted residuals to ``channels``; the first one has the stage's stride."""

    name: str
    stride: int
    channels: int
    expand: int
    blocks: int

    @property
    def rest(self) -> Stage:
        """The first inverted residual."""
        return replace(self, blocks=1)

    @property
    def block(self) -> Stage:
        """Each of the others."""
        return replace(self, stride=1, blocks=1)

    @property
    def times(self) -> int:
        """How many others there are."""
        return self.blocks - 1

    def fragment(self, entry: Shape) -> Fragment:
        """Layers from a map of shape ``entry``."""
        builder = FragmentBuilder(self.name, entry)
        x = ENTRY
        for number in range(1, self.blocks + 1):
            stride = self.stride if number == 1 else 1
            x = inverted_residual(
                builder, f"block{number}", x, self.channels, stride=stride, expand=self.expand
            )
        return builder.build()


@dataclass(frozen=True, slots=True)
class AttentionStage:
    """An inverted residual with the stage's stride, then a MobileViT block of ``blocks`` encoder layers."""

    name: str
    stride: int
    channels: int
    expand: int
    heads: int
    feed_forward: int
    patch: int
    blocks: int

    @property
    def rest(self) -> Stage:
        """All but the encoder layers."""
        return replace(self, heads=1, feed_forward=0, blocks=0)

    @property
    def block(self) -> Stage:
        """One encoder layer."""
        return EncoderLayer(self.name, self.heads, self.feed_forward, self.patch)

    @property
    def times(self) -> int:
        """How many encoder layers there are."""
        return self.blocks

    def fragment(self, entry: Shape) -> Fragment:
        """Layers from a map of shape ``entry``.

        Raises
        ------
        PlanError
            Where heads do not divide the channels, or the map is so small that even the smallest patch leaves
            a single token: attention over one token is none. A space that offers larger patches may ask for
            that (``hyt-released`` does: patches of 8 on a 7x7 map).
        """
        side = -(-entry[-1] // self.stride)
        if side <= SMALLEST_PATCH:
            raise PlanError(
                f"The map of {self.name} is {side}x{side}: attention would see a single token",
                "Choose a larger resolution",
            )
        check_heads(self.name, self.heads, self.channels)
        builder = FragmentBuilder(self.name, entry)
        x = inverted_residual(
            builder, "downsample", ENTRY, self.channels, stride=self.stride, expand=self.expand
        )
        mobilevit_block(
            builder,
            x,
            patch=self.patch,
            layers=self.blocks,
            heads=self.heads,
            feed_forward=self.feed_forward,
        )
        return builder.build()


@dataclass(frozen=True, slots=True)
class EncoderLayer:
    """One encoder layer of an attention stage, on the tokens of the map that it receives."""

    name: str
    heads: int
    feed_forward: int
    patch: int

    def fragment(self, entry: Shape) -> Fragment:
        """Layers from the tokens of a map of shape ``entry``; raises PlanError if heads do not divide it."""
        check_heads(self.name, self.heads, entry[0])
        builder = FragmentBuilder(self.name, token_shape(entry, self.patch))
        transformer_layer(builder, "transformer", ENTRY, heads=self.heads, feed_forward=self.feed_forward)
        return builder.build()


def check_heads(stage: str, heads: int, channels: int) -> None:
    """Raise PlanError if a stage's heads do not divide its channels."""
    if channels % heads:
        raise PlanError(
            f"{heads} heads do not divide the {channels} channels of {stage}", "Choose 1, 2 or 4 heads"
        )


@dataclass(frozen=True, slots=True)
class Head:
    """1x1 expansion to 4 x the channels, global average pool, linear classifier."""

    classes: int
    name: str = "head"

    def fragment(self, entry: Shape) -> Fragment:
        """Layers from a map of shape ``entry``."""
        builder = FragmentBuilder(self.name, entry)
        x = convolution(builder, "expand", ENTRY, HEAD_EXPANSION * entry[0], kernel=1, role="expand")
        x = builder.add("global_pool", "pool", (x,), (HEAD_EXPANSION * entry[0],), role="pool")
        linear(builder, "classifier", x, self.classes, role="classifier")
        return builder.build()
