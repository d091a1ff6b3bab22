"""Which inputs of a model leave sizes open, or say nothing of their shape, and what they are fixed to."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

Shape = tuple[int, ...]
Sizes = list[int | None]

_IMAGE_CHANNELS: Final = (1, 3, 4)


@dataclass(frozen=True)
class WantedShapes:
    """What open inputs are to be fixed to.

    Attributes
    ----------
    named : mapping
        The shape of an input by its name; an input whose sizes are others already is an error.
    offered : mapping
        The same, for inputs that are open alone.
    resolution : int or None
        Height and width of an image that is the only input; ``None`` leaves it open.
    """

    named: Mapping[str, Shape] = field(default_factory=dict)
    offered: Mapping[str, Shape] = field(default_factory=dict)
    resolution: int | None = None


AS_THEY_ARE: Final = WantedShapes()


@dataclass(frozen=True)
class FixedModel:
    """A model, the names of its inputs, and the shapes that open ones of them got."""

    content: bytes
    names: tuple[str, ...] = ()
    shapes: dict[str, Shape] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelInput:
    """An input of a model, as far as its shape goes.

    Attributes
    ----------
    name : str
    sizes : list of (int or None) or None
        Its dimensions, open ones ``None``; ``None`` where it has no shape.
    holds_pixels : bool
        Whether its type is one of images.
    channels : int or None
        How many its first convolution takes, where that is known.
    """

    name: str
    sizes: Sizes | None
    holds_pixels: bool
    channels: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether a size is not known besides that of the batch, which is 1."""
        return self.sizes is None or None in self.sizes[1:]

    def as_image(self, resolution: int) -> Shape | None:
        """Its shape as an image of that resolution, if it is one; channels are where they are few."""
        if not self.holds_pixels or (self.sizes is not None and len(self.sizes) != 4):
            return None
        known = self.sizes or [None] * 4
        last = known[3] in _IMAGE_CHANNELS and known[1] not in _IMAGE_CHANNELS
        if not last and known[1] is None and self.channels is None:
            return None
        usual = (1, resolution, resolution, 3) if last else (1, self.channels or 3, resolution, resolution)
        return tuple(other if size is None else size for size, other in zip(known, usual, strict=True))


def parse_shape(text: str) -> tuple[str, Shape]:
    """The name and the shape of an input.

    Raises ValueError where the text is no such thing.

    >>> parse_shape("images:0:1,3,224,224")
    ('images:0', (1, 3, 224, 224))
    """
    found = re.fullmatch(r"(.+):(\d{1,9}(?:,\d{1,9})*)", text)
    shape = tuple(map(int, found[2].split(","))) if found else ()
    if found is None or 0 in shape:
        raise ValueError(f"{text!r} is no NAME:1,3,224,224")
    return found[1], shape


def chosen_shapes(inputs: Sequence[ModelInput], wanted: WantedShapes) -> dict[str, Shape]:
    """The shapes that inputs are to get; those that stay as they are are left out."""
    chosen: dict[str, Shape] = {}
    for each in inputs:
        shape = wanted.named.get(each.name)
        if shape is None and each.is_open:
            shape = wanted.offered.get(each.name)
            if shape is None and len(inputs) == 1 and wanted.resolution is not None:
                shape = each.as_image(wanted.resolution)
        if shape is not None and each.sizes != list(shape):
            chosen[each.name] = tuple(shape)
    return chosen
