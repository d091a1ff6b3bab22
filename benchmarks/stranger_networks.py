"""Vision networks that are no part of any space, as their papers describe them, with random weights.

References
----------
MobileNetV1 (Howard et al., 2017), MobileNetV2 (Sandler et al., 2018), SqueezeNet 1.1 (Iandola et al., 2016),
MobileViT (Mehta and Rastegari, 2022). The last one is like MobileViT-XXS: attention is written as most code
on the web writes it, with all heads in one product.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

CLASSES = 1000
CALIBRATION_IMAGES = 4


MOBILENET_V2 = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
"""Expand ratio, channels, blocks and stride of each stage."""


def unit(inputs: int, outputs: int, kernel: int, activation: nn.Module, **options: int) -> nn.Sequential:
    """Convolution, batch norm, activation."""
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, **options)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), activation)


def classifier(inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, CLASSES))


def mobilenet_v1(width: float) -> nn.Module:
    def channels(count: int) -> int:
        return int(count * width)

    steps = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    inputs = channels(32)
    layers: list[nn.Module] = [unit(3, inputs, 3, nn.ReLU(), stride=2)]
    for count, stride in steps:
        layers.append(unit(inputs, inputs, 3, nn.ReLU(), stride=stride, groups=inputs))
        layers.append(unit(inputs, channels(count), 1, nn.ReLU()))
        inputs = channels(count)
    return nn.Sequential(*layers, classifier(inputs))


class InvertedResidual(nn.Module):
    """Expand, depthwise, project; with a residual where the shape stays."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, ratio: int, activation: type[nn.Module]
    ) -> None:
        super().__init__()
        hidden = inputs * ratio
        layers = [unit(inputs, hidden, 1, activation())] if ratio > 1 else []
        layers.append(unit(hidden, hidden, 3, activation(), stride=stride, groups=hidden))
        layers.append(unit(hidden, outputs, 1, nn.Identity()))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Inverted residual."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


def mobilenet_v2(width: float) -> nn.Module:
    def channels(count: int) -> int:
        return max(8, int(count * width / 8 + 0.5) * 8)

    inputs = channels(32)
    layers: list[nn.Module] = [unit(3, inputs, 3, nn.ReLU6(), stride=2)]
    for ratio, count, repeats, stride in MOBILENET_V2:
        for index in range(repeats):
            outputs = channels(count)
            layers.append(InvertedResidual(inputs, outputs, stride if index == 0 else 1, ratio, nn.ReLU6))
            inputs = outputs
    return nn.Sequential(*layers, unit(inputs, 1280, 1, nn.ReLU6()), classifier(1280))


class Fire(nn.Module):
    """Squeeze to few channels, expand by two kernels side by side."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(inputs, squeeze, 1), nn.ReLU())
        self.small = nn.Sequential(nn.Conv2d(squeeze, expand, 1), nn.ReLU())
        self.large = nn.Sequential(nn.Conv2d(squeeze, expand, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Squeeze and expand."""
        x = self.squeeze(x)
        return torch.cat([self.small(x), self.large(x)], dim=1)


def squeezenet(width: float) -> nn.Module:
    def pool() -> nn.Module:
        return nn.MaxPool2d(3, stride=2, ceil_mode=True)

    def fire(inputs: int, squeeze: int) -> Fire:
        return Fire(int(inputs * width), int(squeeze * width), int(4 * squeeze * width))

    first = int(64 * width)
    return nn.Sequential(
        nn.Conv2d(3, first, 3, stride=2), nn.ReLU(), pool(),
        fire(64, 16), fire(128, 16), pool(), fire(128, 32), fire(256, 32), pool(),
        fire(256, 48), fire(384, 48), fire(384, 64), fire(512, 64),
        nn.Conv2d(int(512 * width), CLASSES, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


class Transformer(nn.Module):
    """Attention and feed-forward, each behind a norm and beside a residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """``(groups, tokens, width)`` to the same."""
        groups, tokens, width = x.shape
        packed = self.qkv(self.norms[0](x)).reshape(groups, tokens, 3, self.heads, width // self.heads)
        queries, keys, values = packed.permute(2, 0, 3, 1, 4).unbind(0)
        scores = torch.softmax(queries @ keys.transpose(-2, -1) * (width // self.heads) ** -0.5, dim=-1)
        x = x + self.project((scores @ values).transpose(1, 2).reshape(groups, tokens, width))
        y: Tensor = x + self.feed_forward(self.norms[1](x))
        return y


class MobileVitBlock(nn.Module):
    """Local convolutions, transformers over patches of 2x2, fusion with the input."""

    def __init__(self, channels: int, width: int, depth: int) -> None:
        super().__init__()
        self.local = nn.Sequential(
            unit(channels, channels, 3, nn.SiLU()), nn.Conv2d(channels, width, 1, bias=False)
        )
        self.transformers = nn.Sequential(*(Transformer(width, 4) for _ in range(depth)), nn.LayerNorm(width))
        self.back = unit(width, channels, 1, nn.SiLU())
        self.fuse = unit(2 * channels, channels, 3, nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        """``(1, channels, height, width)`` to the same."""
        y = self.local(x)
        _, width, height, columns = y.shape
        y = y.reshape(width, height // 2, 2, columns // 2, 2).permute(2, 4, 1, 3, 0)
        y = self.transformers(y.reshape(4, -1, width))
        y = y.reshape(2, 2, height // 2, columns // 2, width).permute(4, 2, 0, 3, 1)
        return self.fuse(torch.cat([x, self.back(y.reshape(1, width, height, columns))], dim=1))


def mobilevit_like(width: float) -> nn.Module:
    def channels(count: int) -> int:
        return int(count * width / 8 + 0.5) * 8

    def down(inputs: int, outputs: int, stride: int) -> InvertedResidual:
        return InvertedResidual(channels(inputs), channels(outputs), stride, 2, nn.SiLU)

    return nn.Sequential(
        unit(3, channels(16), 3, nn.SiLU(), stride=2),
        down(16, 16, 1), down(16, 24, 2), down(24, 24, 1), down(24, 24, 1),
        down(24, 48, 2), MobileVitBlock(channels(48), channels(64), 2),
        down(48, 64, 2), MobileVitBlock(channels(64), channels(80), 4),
        down(64, 80, 2), MobileVitBlock(channels(80), channels(96), 3),
        unit(channels(80), channels(320), 1, nn.SiLU()), classifier(channels(320)),
    )  # fmt: skip


NETWORKS = {
    "MobileNetV1": mobilenet_v1,
    "MobileNetV2": mobilenet_v2,
    "SqueezeNet": squeezenet,
    "MobileViT-like": mobilevit_like,
}


def stranger_onnx(name: str, width: float, resolution: int, seed: int) -> bytes:
    """A network of a width and an input resolution as an ONNX model in fp32, batch 1."""
    with _seeded(seed):
        network = NETWORKS[name](width)
        network.train()
        with torch.no_grad():
            for _ in range(CALIBRATION_IMAGES):
                network(torch.randn(1, 3, resolution, resolution))
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (torch.zeros(1, 3, resolution, resolution),),
            buffer,
            dynamo=False,
            opset_version=17,
        )
    return buffer.getvalue()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
