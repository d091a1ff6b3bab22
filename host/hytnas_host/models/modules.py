"""The torch module of each kind of layer; sizes are Python integers, so tracing records no arithmetic."""

import math
from collections.abc import Callable, Mapping

import torch
from hytnas_datasets.plan import Layer
from torch import Tensor, nn
from torch.nn import functional


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


class Unfold(nn.Module):
    """Map to tokens: ``(batch, d, H, W)`` to ``(batch * patch^2, patches, d)``."""

    def __init__(self, patch: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.patch = patch
        self.channels, height, width = shape
        self.rows, self.columns = height // patch, width // patch

    def forward(self, x: Tensor) -> Tensor:
        """Tokens at the same place of every patch attend to each other, so they share a batch entry."""
        p = self.patch
        x = x.reshape(-1, self.channels, self.rows, p, self.columns, p).permute(0, 3, 5, 2, 4, 1)
        return x.reshape(-1, self.rows * self.columns, self.channels)


class Fold(nn.Module):
    """Tokens to map, the inverse of ``Unfold``."""

    def __init__(self, patch: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.patch = patch
        self.channels, self.height, self.width = shape

    def forward(self, x: Tensor) -> Tensor:
        """``(batch * patch^2, patches, d)`` to ``(batch, d, H, W)``."""
        p = self.patch
        x = x.reshape(-1, p, p, self.height // p, self.width // p, self.channels).permute(0, 5, 3, 1, 4, 2)
        return x.reshape(-1, self.channels, self.height, self.width)


class Attention(nn.Module):
    """Scaled dot-product self-attention between its two linear layers.

    Takes queries, keys and values side by side, ``(groups, tokens, 3 d)``, and gives ``(groups, tokens, d)``.
    """

    def __init__(self, heads: int, tokens: int, width: int) -> None:
        super().__init__()
        self.heads, self.tokens, self.width = heads, tokens, width
        self.scale = 1 / math.sqrt(width // heads)

    def forward(self, qkv: Tensor) -> Tensor:
        """Attend over the tokens of each group."""
        shape = (-1, self.tokens, 3, self.heads, self.width // self.heads)
        q, k, v = qkv.reshape(shape).permute(2, 0, 3, 1, 4).unbind(0)
        attention = torch.softmax((q * self.scale) @ k.transpose(-2, -1), dim=-1)
        return (attention @ v).transpose(1, 2).reshape(-1, self.tokens, self.width)


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
