"""The attention block against the block as its papers write it, with torch's own attention."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from hytnas_datasets.plan import Task, plan_from_values
from hytnas_datasets.spaces import HYT_RELEASED
from hytnas_host.models import build_network, calibrate_batch_norm, random_images
from hytnas_host.models.tokens import depth_to_space, space_to_depth

VALUES = {
    f"stage{n}.{name}": v for n in (1, 2) for name, v in {"blocks": 1, "expand": 1, "channels": 8}.items()
}


def values(heads, patch, layers):
    attention = {"expand": 1, "ratio": 1.5, "heads": heads, "ff_ratio": 1.5, "patch": patch, "blocks": layers}
    return VALUES | {f"stage{n}.{name}": value for n in (3, 4, 5) for name, value in attention.items()}


def literal_encoder(network, scope, tokens, heads):
    """One pre-norm layer on ``(batch, tokens, d)`` with nn.MultiheadAttention and the network's weights."""
    parts = {
        name: network.get_submodule(f"{scope}/{name}")
        for name in ("attention/norm", "attention/qkv", "attention/projection")
    }
    attention = nn.MultiheadAttention(tokens.shape[-1], heads, batch_first=True)
    attention.in_proj_weight = parts["attention/qkv"].weight
    attention.in_proj_bias = parts["attention/qkv"].bias
    attention.out_proj = parts["attention/projection"]
    x = parts["attention/norm"](tokens)
    tokens = tokens + attention(x, x, x)[0]
    x = network.get_submodule(f"{scope}/feed_forward/norm")(tokens)
    x = functional.silu(network.get_submodule(f"{scope}/feed_forward/expand")(x))
    return tokens + network.get_submodule(f"{scope}/feed_forward/project")(x)


def literal_block(network, stage, x, *, heads, patch, layers):
    """Pixels at the same place of every patch attend to each other; maps are resized where needed."""
    height, width = x.shape[2:]
    padded = (-(-height // patch) * patch, -(-width // patch) * patch)
    if padded != (height, width):
        x = functional.interpolate(x, size=padded, mode="bilinear", align_corners=False)
    out = torch.empty_like(x)
    for row in range(patch):
        for column in range(patch):
            place = x[:, :, row::patch, column::patch]
            tokens = place.flatten(2).transpose(1, 2)
            for number in range(1, layers + 1):
                tokens = literal_encoder(network, f"{stage}/transformer{number}", tokens, heads)
            tokens = network.get_submodule(f"{stage}/norm")(tokens)
            out[:, :, row::patch, column::patch] = tokens.transpose(1, 2).reshape(place.shape)
    if padded != (height, width):
        out = functional.interpolate(out, size=(height, width), mode="bilinear", align_corners=False)
    return out


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("patch", [2, 4])
@pytest.mark.parametrize("resolution", [56, 72])
def test_the_block_equals_the_literal_one(heads, patch, resolution):
    plan = plan_from_values(
        values(heads, patch, 2), Task(resolution=resolution), dict(HYT_RELEASED.channel_caps)
    )
    network = build_network(plan, rng=np.random.default_rng(heads))
    calibrate_batch_norm(network, plan, np.random.default_rng(1))
    seen = {}

    def keep(name):
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output: seen.update({name: output})
        )

    names = {layer.name for layer in plan.layers}
    stages = ("stage3", "stage4", "stage5")
    ends = {s: f"{s}/resize_back" if f"{s}/resize_back" in names else f"{s}/fold" for s in stages}
    for stage in stages:
        keep(f"{stage}/local/pointwise")
        keep(ends[stage])
    with torch.no_grad():
        network(torch.from_numpy(random_images(plan.task, 2, np.random.default_rng(2))))
        sides = []
        for stage in stages:
            x = seen[f"{stage}/local/pointwise"]
            sides.append(x.shape[-1])
            expected = literal_block(network, stage, x, heads=heads, patch=patch, layers=2)
            torch.testing.assert_close(seen[ends[stage]], expected, rtol=1e-4, atol=1e-5)
    assert sides == {56: [28, 14, 7], 72: [36, 18, 9]}[resolution]


def test_folding_is_that_of_onnx():
    x = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    depth = space_to_depth(x, 2)
    assert depth.shape == (2, 12, 2, 3)
    for row in range(2):
        for column in range(2):
            first = 3 * (2 * row + column)
            assert torch.equal(depth[:, first : first + 3], x[:, :, row::2, column::2])
    assert torch.equal(depth_to_space(depth, 2), x)
