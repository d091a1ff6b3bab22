"""Tokens of a MobileViT block: unfolding, attention and folding, written for the graph they export to.

Tokens are held as one matrix ``(batch * patch^2 * patches, d)``: linear layers become plain matrix products
with their bias, and no reshaping is needed around norms and residuals. Attention takes each head as a slice
of the packed queries, keys and values, so no head is ever transposed. Folding is SpaceToDepth and
DepthToSpace with one swap of two axes. Among the ways measured, this is the fastest on ONNX Runtime
(``benchmarks/attention.py``, ``docs/decisions/attention-block.md``); tests hold it equal to the literal one.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn


class Unfold(nn.Module):
    """Map to tokens: ``(batch, d, H, W)`` to ``(batch * patch^2 * patches, d)``.

    Tokens at the same place of every patch attend to each other; they are consecutive rows.
    """

    def __init__(self, patch: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.patch = patch
        self.channels, height, width = shape
        self.tokens = (height // patch) * (width // patch)

    def forward(self, x: Tensor) -> Tensor:
        """Unfold."""
        x = _apply(SpaceToDepth, x, self.patch)
        return x.reshape(-1, self.channels, self.tokens).transpose(1, 2).reshape(-1, self.channels)


class Fold(nn.Module):
    """Tokens to map, the inverse of ``Unfold``."""

    def __init__(self, patch: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.patch = patch
        self.channels, height, width = shape
        self.rows, self.columns = height // patch, width // patch

    def forward(self, x: Tensor) -> Tensor:
        """``(batch * patch^2 * patches, d)`` to ``(batch, d, H, W)``."""
        x = x.reshape(-1, self.rows * self.columns, self.channels).transpose(1, 2)
        x = x.reshape(-1, self.patch**2 * self.channels, self.rows, self.columns)
        return _apply(DepthToSpace, x, self.patch)


class Attention(nn.Module):
    """Scaled dot-product self-attention between its two linear layers.

    Takes queries, keys and values side by side, ``(groups * tokens, 3 d)``, and gives
    ``(groups * tokens, d)``; tokens attend within their group.
    """

    def __init__(self, heads: int, tokens: int, width: int) -> None:
        super().__init__()
        self.heads, self.tokens, self.width = heads, tokens, width
        self.scale = 1 / math.sqrt(width // heads)

    def forward(self, qkv: Tensor) -> Tensor:
        """Attend over the tokens of each group."""
        packed = qkv.reshape(-1, self.tokens, 3 * self.width)
        parts = torch.split(packed, self.width // self.heads, dim=-1)
        queries, keys, values = (parts[i * self.heads : (i + 1) * self.heads] for i in range(3))
        heads = [
            torch.softmax((q @ k.transpose(1, 2)) * self.scale, dim=-1) @ v
            for q, k, v in zip(queries, keys, values, strict=True)
        ]
        joined = heads[0] if self.heads == 1 else torch.cat(heads, dim=-1)
        return joined.reshape(-1, self.width)


def space_to_depth(x: Tensor, patch: int) -> Tensor:
    """ONNX SpaceToDepth: ``(b, c, H, W)`` to ``(b, patch^2 * c, H / patch, W / patch)``.

    The place in the patch is the slower index of the new channels.
    """
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels, height // patch, patch, width // patch, patch).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(batch, patch**2 * channels, height // patch, width // patch)


def depth_to_space(x: Tensor, patch: int) -> Tensor:
    """ONNX DepthToSpace in mode DCR, the inverse of ``space_to_depth``."""
    batch, depth, rows, columns = x.shape
    channels = depth // patch**2
    x = x.reshape(batch, patch, patch, channels, rows, columns).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(batch, channels, rows * patch, columns * patch)


class SpaceToDepth(torch.autograd.Function):
    """``space_to_depth`` as the one operator the tracing exporter would otherwise write in three."""

    @staticmethod
    def forward(_context: Any, x: Tensor, patch: int) -> Tensor:
        """Compute."""
        return space_to_depth(x, patch)

    @staticmethod
    def symbolic(graph: Any, x: Any, patch: int) -> Any:
        """Write the ONNX node."""
        batch, channels, height, width = x.type().sizes()
        sizes = [batch, channels * patch**2, height // patch, width // patch]
        return graph.op("SpaceToDepth", x, blocksize_i=patch).setType(x.type().with_sizes(sizes))


class DepthToSpace(torch.autograd.Function):
    """``depth_to_space`` as the one operator the tracing exporter would otherwise write in three."""

    @staticmethod
    def forward(_context: Any, x: Tensor, patch: int) -> Tensor:
        """Compute."""
        return depth_to_space(x, patch)

    @staticmethod
    def symbolic(graph: Any, x: Any, patch: int) -> Any:
        """Write the ONNX node."""
        batch, depth, rows, columns = x.type().sizes()
        sizes = [batch, depth // patch**2, rows * patch, columns * patch]
        node = graph.op("DepthToSpace", x, blocksize_i=patch, mode_s="DCR")
        return node.setType(x.type().with_sizes(sizes))


def _apply(function: type[torch.autograd.Function], x: Tensor, patch: int) -> Tensor:
    """Call through autograd only for the tracing exporter, the one that reads symbolic functions."""
    if torch._C._get_tracing_state() is not None and torch.onnx.is_in_onnx_export():
        y: Tensor = function.apply(x, patch)  # type: ignore[no-untyped-call]
        return y
    plain: Tensor = function.forward(None, x, patch)
    return plain
