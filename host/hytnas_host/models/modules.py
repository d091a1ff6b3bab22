"""The torch module of each kind of layer; sizes are Python integers, so tracing records no arithmetic."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from hytnas_datasets.plan import Layer
from hytnas_host.models.tokens import Attention, Fold, Unfold


class Identity(nn.Module):
    """The image, as it comes."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the input."""
        return x


class Add(nn.Module):
    """Sum of two tensors of one shape."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Add the inputs."""
        return x + y


class Concat(nn.Module):
    """Maps joined along their channels."""

    def forward(self, *maps: Tensor) -> Tensor:
        """Join ``(batch, channels_i, height, width)`` along axis 1."""
        return torch.cat(maps, dim=1)


class Resize(nn.Module):
    """Bilinear resizing to a fixed size."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Resize ``(batch, channels, height, width)``."""
        return functional.interpolate(x, size=self.size, mode="bilinear", align_corners=False)


class GlobalPool(nn.Module):
    """Mean over the positions of a map."""

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, channels, height, width)`` to ``(batch, channels)``."""
        return functional.adaptive_avg_pool2d(x, 1).flatten(1)


def _conv(layer: Layer) -> nn.Module:
    return nn.Conv2d(
        layer.input_shapes[0][0],
        layer.shape[0],
        layer.integer("kernel"),
        stride=layer.integer("stride"),
        padding=layer.integer("padding"),
        groups=layer.integer("groups"),
        bias=bool(layer.integer("bias")),
        device="meta",
    ).to_empty(device="cpu")


def _linear(layer: Layer) -> nn.Module:
    width, bias = layer.input_shapes[0][-1], bool(layer.integer("bias"))
    return nn.Linear(width, layer.shape[-1], bias=bias, device="meta").to_empty(device="cpu")


def _map_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    channels, height, width = shape
    return channels, height, width


MODULES: Mapping[str, Callable[[Layer], nn.Module]] = {
    "input": lambda _: Identity(),
    "conv": _conv,
    "batch_norm": lambda layer: nn.BatchNorm2d(layer.shape[0], eps=layer.attribute("epsilon")),
    "silu": lambda _: nn.SiLU(),
    "add": lambda _: Add(),
    "concat": lambda _: Concat(),
    "resize": lambda layer: Resize((layer.shape[1], layer.shape[2])),
    "unfold": lambda layer: Unfold(layer.integer("patch"), _map_shape(layer.input_shapes[0])),
    "fold": lambda layer: Fold(layer.integer("patch"), _map_shape(layer.shape)),
    "layer_norm": lambda layer: nn.LayerNorm(layer.shape[-1], eps=layer.attribute("epsilon")),
    "linear": _linear,
    "attention": lambda layer: Attention(layer.integer("heads"), layer.shape[1], layer.shape[2]),
    "global_pool": lambda _: GlobalPool(),
}
"""Kind of layer to the function that makes its module."""
