"""Ways of writing the attention block: one function of one set of weights, many graphs.

Used by ``attention.py``. Every variant unfolds a map into patches, runs two pre-norm encoder layers and a
layer norm, and folds back.
"""
# ruff: noqa: D102 -- the docstring of a variant says what is particular about its methods

import torch
from torch import Tensor, nn
from torch.nn import functional

from hytnas_host.models.tokens import Attention as TokenAttention
from hytnas_host.models.tokens import DepthToSpace, Fold, SpaceToDepth, Unfold

RATIO = 1.5


class Encoder(nn.Module):
    """The weights of one pre-norm encoder layer, as the literal variant holds them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, round(RATIO * width))
        self.project = nn.Linear(round(RATIO * width), width)
        self.heads = heads
        for parameter in self.parameters():
            if parameter.dim() == 1:
                nn.init.normal_(parameter, std=0.3)

    def feed_forward(self, x: Tensor) -> Tensor:
        return x + self.project(functional.silu(self.expand(self.norm2(x))))


class Variant(nn.Module):
    """Unfold, encoder layers, norm, fold; subclasses say how attention and folding are written."""

    def __init__(self, encoders: nn.ModuleList, norm: nn.LayerNorm, patch: int, size: int) -> None:
        super().__init__()
        self.encoders, self.norm, self.p = encoders, norm, patch
        self.d, self.size = norm.normalized_shape[0], size
        self.rows = size // patch
        self.tokens, self.groups = self.rows**2, patch**2

    def unfold(self, x: Tensor) -> Tensor:
        x = x.reshape(self.d, self.rows, self.p, self.rows, self.p).permute(2, 4, 1, 3, 0)
        return x.reshape(self.groups, self.tokens, self.d)

    def fold(self, x: Tensor) -> Tensor:
        x = x.reshape(self.p, self.p, self.rows, self.rows, self.d).permute(4, 2, 0, 3, 1)
        return x.reshape(1, self.d, self.size, self.size)

    def attend(self, encoder: Encoder, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        x = self.unfold(x)
        for encoder in self.encoders:
            x = encoder.feed_forward(x + self.attend(encoder, encoder.norm1(x)))
        return self.fold(self.norm(x))


class Literal(Variant):
    """The reference implementation of MobileViT: folding in steps, nn.MultiheadAttention."""

    def unfold(self, x: Tensor) -> Tensor:
        x = x.reshape(self.d * self.rows, self.p, self.rows, self.p).transpose(1, 2)
        x = x.reshape(1, self.d, self.tokens, self.groups).transpose(1, 3)
        return x.reshape(self.groups, self.tokens, self.d)

    def fold(self, x: Tensor) -> Tensor:
        x = x.reshape(1, self.groups, self.tokens, self.d).transpose(1, 3)
        x = x.reshape(self.d * self.rows, self.rows, self.p, self.p).transpose(1, 2)
        return x.reshape(1, self.d, self.size, self.size)

    def attend(self, encoder: Encoder, x: Tensor) -> Tensor:
        return encoder.attention(x, x, x, need_weights=False)[0]


class Packed(Variant):
    """One linear layer for q, k, v; one transpose puts them and the heads in front (as in timm)."""

    def attend(self, encoder: Encoder, x: Tensor) -> Tensor:
        a, h = encoder.attention, encoder.heads
        qkv = functional.linear(x, a.in_proj_weight, a.in_proj_bias)
        q, k, v = qkv.reshape(self.groups, self.tokens, 3, h, self.d // h).permute(2, 0, 3, 1, 4).unbind(0)
        attention = torch.softmax((q * (self.d // h) ** -0.5) @ k.transpose(-2, -1), dim=-1)
        return a.out_proj((attention @ v).transpose(1, 2).reshape(self.groups, self.tokens, self.d))


def scaled(encoder: Encoder, width: int) -> tuple[Tensor, Tensor]:
    """Packed weights and bias with the scale of the scores folded into the queries."""
    weight = encoder.attention.in_proj_weight.detach().clone()
    bias = encoder.attention.in_proj_bias.detach().clone()
    scale = (width // encoder.heads) ** -0.5
    weight[:width] *= scale
    bias[:width] *= scale
    return weight, bias


class Separate(Variant):
    """Three linear layers, each transposed on its own."""

    def attend(self, encoder: Encoder, x: Tensor) -> Tensor:
        h = encoder.heads
        weight, bias = scaled(encoder, self.d)
        q, k, v = (
            functional.linear(x, w, b).reshape(self.groups, self.tokens, h, -1).transpose(1, 2)
            for w, b in zip(weight.chunk(3), bias.chunk(3), strict=True)
        )
        x = torch.softmax(q @ k.transpose(-2, -1), dim=-1) @ v
        x = x.transpose(1, 2).reshape(self.groups, self.tokens, self.d)
        return encoder.attention.out_proj(x)


class PerHead(Variant):
    """Each head on its own: slices of one packed linear layer, outputs joined; no transpose in a head."""

    def attend(self, encoder: Encoder, x: Tensor) -> Tensor:
        h = encoder.heads
        qkv = functional.linear(x, *scaled(encoder, self.d)).split(self.d // h, dim=-1)
        heads = [
            torch.softmax(qkv[i] @ qkv[h + i].transpose(-2, -1), dim=-1) @ qkv[2 * h + i] for i in range(h)
        ]
        return encoder.attention.out_proj(heads[0] if h == 1 else torch.cat(heads, dim=-1))


class PerHeadLinears(Variant):
    """As per_head, with a linear layer of its own for each of q, k, v of each head: nothing to split."""

    def attend(self, encoder: Encoder, x: Tensor) -> Tensor:
        h = encoder.heads
        weight, bias = scaled(encoder, self.d)
        parts = [
            functional.linear(x, w, b)
            for w, b in zip(weight.split(self.d // h), bias.split(self.d // h), strict=True)
        ]
        heads = [
            torch.softmax(parts[i] @ parts[h + i].transpose(-2, -1), dim=-1) @ parts[2 * h + i]
            for i in range(h)
        ]
        return encoder.attention.out_proj(heads[0] if h == 1 else torch.cat(heads, dim=-1))


class FlatPerHead(Variant):
    """As per_head, with tokens of all groups in one ``(patch^2 * patches, d)`` matrix outside the heads."""

    def attend(self, encoder: Encoder, x: Tensor) -> Tensor:
        h = encoder.heads
        qkv = functional.linear(x, *scaled(encoder, self.d))
        parts = qkv.reshape(self.groups, self.tokens, 3 * self.d).split(self.d // h, dim=-1)
        heads = [
            torch.softmax(parts[i] @ parts[h + i].transpose(-2, -1), dim=-1) @ parts[2 * h + i]
            for i in range(h)
        ]
        joined = heads[0] if h == 1 else torch.cat(heads, dim=-1)
        return encoder.attention.out_proj(joined.reshape(self.groups * self.tokens, self.d))

    def forward(self, x: Tensor) -> Tensor:
        x = self.unfold(x).reshape(self.groups * self.tokens, self.d)
        for encoder in self.encoders:
            x = encoder.feed_forward(x + self.attend(encoder, encoder.norm1(x)))
        return self.fold(self.norm(x).reshape(self.groups, self.tokens, self.d))


class FlatPacked(FlatPerHead):
    """As flat_per_head, but with the heads of packed: one transpose before the scores, one after."""

    def attend(self, encoder: Encoder, x: Tensor) -> Tensor:
        h = encoder.heads
        qkv = functional.linear(x, *scaled(encoder, self.d))
        q, k, v = qkv.reshape(self.groups, self.tokens, 3, h, self.d // h).permute(2, 0, 3, 1, 4).unbind(0)
        attended = torch.softmax(q @ k.transpose(-2, -1), dim=-1) @ v
        return encoder.attention.out_proj(attended.transpose(1, 2).reshape(-1, self.d))


class BroadcastHeads(Variant):
    """A stack of small products, one for each head, instead of a transpose."""

    def attend(self, encoder: Encoder, x: Tensor) -> Tensor:
        h, out = encoder.heads, encoder.attention.out_proj
        weight, bias = scaled(encoder, self.d)
        q, k, v = (
            x.unsqueeze(1) @ w.reshape(h, -1, self.d).transpose(1, 2) + b.reshape(h, 1, -1)
            for w, b in zip(weight.chunk(3), bias.chunk(3), strict=True)
        )
        x = torch.softmax(q @ k.transpose(-2, -1), dim=-1) @ v
        return (x @ out.weight.T.reshape(h, -1, self.d)).sum(1) + out.bias


class ChannelsFirstHeads(Variant):
    """q, k, v as ``weight @ x^T``: heads split the leading channels, so reshaping is enough.

    The transposed operands are left to the runtime, which folds them into its matrix products.
    """

    def attend(self, encoder: Encoder, x: Tensor) -> Tensor:
        h, out = encoder.heads, encoder.attention.out_proj
        weight, bias = scaled(encoder, self.d)
        qkv = weight @ x.transpose(1, 2) + bias[:, None]
        qkv = qkv.reshape(self.groups, 3 * h, self.d // h, self.tokens)
        q, k, v = qkv.split(h, dim=1)
        attention = torch.softmax(q.transpose(2, 3) @ k, dim=-1)
        x = (v @ attention.transpose(2, 3)).reshape(self.groups, self.d, self.tokens)
        return x.transpose(1, 2) @ out.weight.T + out.bias


class LeanBias(Variant):
    """As channels_first_heads with the biases that softmax cancels or passes through folded away."""

    def attend(self, encoder: Encoder, x: Tensor) -> Tensor:
        h, out = encoder.heads, encoder.attention.out_proj
        weight, bias = scaled(encoder, self.d)
        qkv = weight @ x.transpose(1, 2)
        qkv = qkv.reshape(self.groups, 3 * h, self.d // h, self.tokens)
        q, k, v = qkv.split(h, dim=1)
        q = q + bias[: self.d].reshape(h, -1, 1)
        attention = torch.softmax(q.transpose(2, 3) @ k, dim=-1)
        x = (v @ attention.transpose(2, 3)).reshape(self.groups, self.d, self.tokens)
        out_bias = out.bias + out.weight @ bias[2 * self.d :]
        return x.transpose(1, 2) @ out.weight.T + out_bias


class ChannelsFirst(Variant):
    """Tokens stay ``(patch^2, d, 1, patches)``: linears are 1x1 convolutions, norms run over axis 1."""

    def unfold(self, x: Tensor) -> Tensor:
        x = x.reshape(self.d, self.rows, self.p, self.rows, self.p).permute(2, 4, 0, 1, 3)
        return x.reshape(self.groups, self.d, 1, self.tokens)

    def fold(self, x: Tensor) -> Tensor:
        x = x.reshape(self.p, self.p, self.d, self.rows, self.rows).permute(2, 3, 0, 4, 1)
        return x.reshape(1, self.d, self.size, self.size)

    @staticmethod
    def layer_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
        centred = x - x.mean(1, keepdim=True)
        variance = (centred * centred).mean(1, keepdim=True)
        normed = centred / torch.sqrt(variance + norm.eps)
        return normed * norm.weight[:, None, None] + norm.bias[:, None, None]

    @staticmethod
    def linear(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
        return functional.conv2d(x, weight[:, :, None, None], bias)

    def core(self, heads: int, qkv: Tensor) -> Tensor:
        q, k, v = qkv.reshape(self.groups, 3 * heads, self.d // heads, self.tokens).split(heads, dim=1)
        attention = torch.softmax(q.transpose(2, 3) @ k, dim=-1)
        return (v @ attention.transpose(2, 3)).reshape(self.groups, self.d, 1, self.tokens)

    def forward(self, x: Tensor) -> Tensor:
        x = self.unfold(x)
        for e in self.encoders:
            y = self.linear(*scaled(e, self.d), self.layer_norm(e.norm1, x))
            out = e.attention.out_proj
            x = x + self.linear(out.weight, out.bias, self.core(e.heads, y))
            y = functional.silu(self.linear(e.expand.weight, e.expand.bias, self.layer_norm(e.norm2, x)))
            x = x + self.linear(e.project.weight, e.project.bias, y)
        return self.fold(self.layer_norm(self.norm, x))


class ChannelsFirstFolded(ChannelsFirst):
    """As channels_first, with centring, weight and bias of each norm folded into the linear after it.

    A layer norm is ``W (x - mean) / sigma + b``: centring is linear, so only 1 / sigma of each token is left.
    """

    @staticmethod
    def fold_norm(norm: nn.LayerNorm, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        scaled_weight = weight * norm.weight
        centred = scaled_weight - scaled_weight.mean(1, keepdim=True)
        return centred, bias + weight @ norm.bias

    @staticmethod
    def inverse_sigma(x: Tensor, epsilon: float) -> Tensor:
        mean = x.mean(1, keepdim=True)
        return 1 / torch.sqrt((x * x).mean(1, keepdim=True) - mean * mean + epsilon)

    def normed_linear(self, norm: nn.LayerNorm, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
        w, b = self.fold_norm(norm, weight, bias)
        y = functional.conv2d(x, w[:, :, None, None])
        return y * self.inverse_sigma(x, norm.eps) + b[:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        x = self.unfold(x)
        for e in self.encoders:
            out = e.attention.out_proj
            qkv = self.normed_linear(e.norm1, *scaled(e, self.d), x)
            x = x + self.linear(out.weight, out.bias, self.core(e.heads, qkv))
            y = functional.silu(self.normed_linear(e.norm2, e.expand.weight, e.expand.bias, x))
            x = x + self.linear(e.project.weight, e.project.bias, y)
        return self.fold(self.layer_norm(self.norm, x))


class SpaceToDepthMixin:
    """Folding by SpaceToDepth and DepthToSpace, then the last two axes swapped."""

    def unfold(self, x: Tensor) -> Tensor:
        x = SpaceToDepth.apply(x, self.p)
        return x.reshape(self.groups, self.d, self.tokens).transpose(1, 2)

    def fold(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2).reshape(1, self.groups * self.d, self.rows, self.rows)
        return DepthToSpace.apply(x, self.p)


class TwoStepMixin:
    """Folding in two transposes that each move whole blocks: channels last, then patches."""

    def unfold(self, x: Tensor) -> Tensor:
        x = x.reshape(self.d, self.size * self.size).transpose(0, 1)
        x = x.reshape(self.rows, self.p, self.rows, self.p, self.d).permute(1, 3, 0, 2, 4)
        return x.reshape(self.groups, self.tokens, self.d)

    def fold(self, x: Tensor) -> Tensor:
        x = x.reshape(self.p, self.p, self.rows, self.rows, self.d).permute(2, 0, 3, 1, 4)
        x = x.reshape(self.size * self.size, self.d).transpose(0, 1)
        return x.reshape(1, self.d, self.size, self.size)


class FlatPerHeadTwoStep(TwoStepMixin, FlatPerHead):
    """flat_per_head with two-step folding."""


class FlatPerHeadSpaceToDepth(SpaceToDepthMixin, FlatPerHead):
    """flat_per_head with SpaceToDepth folding."""


class Product(Variant):
    """The modules of the product, in the order in which a plan has them."""

    def __init__(self, encoders: nn.ModuleList, norm: nn.LayerNorm, patch: int, size: int) -> None:
        super().__init__(encoders, norm, patch, size)
        self.unfold_tokens = Unfold(patch, (self.d, size, size))
        self.fold_tokens = Fold(patch, (self.d, size, size))
        self.core = TokenAttention(encoders[0].heads, self.tokens, self.d)

    def forward(self, x: Tensor) -> Tensor:
        x = self.unfold_tokens(x)
        for e in self.encoders:
            qkv = functional.linear(e.norm1(x), e.attention.in_proj_weight, e.attention.in_proj_bias)
            x = e.feed_forward(x + e.attention.out_proj(self.core(qkv)))
        return self.fold_tokens(self.norm(x))


VARIANTS: dict[str, type[Variant]] = {
    "literal": Literal,
    "packed": Packed,
    "separate": Separate,
    "broadcast_heads": BroadcastHeads,
    "channels_first_heads": ChannelsFirstHeads,
    "lean_bias": LeanBias,
    "channels_first": ChannelsFirst,
    "channels_first_folded": ChannelsFirstFolded,
    "per_head": PerHead,
    "per_head_linears": PerHeadLinears,
    "flat_packed": FlatPacked,
    "flat_per_head": FlatPerHead,
    "flat_per_head_two_step": FlatPerHeadTwoStep,
    "flat_per_head_space_to_depth": FlatPerHeadSpaceToDepth,
    "product": Product,
}
