"""The torch network of a plan: an interpreter, so that no network is described twice."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from hytnas_datasets.plan import LayerPlan
from hytnas_host.models.modules import MODULES

LINEAR_BIAS_STD = 0.02


class PlanNetwork(nn.Module):
    """Runs the layers of a plan in order.

    Modules bear the names of the layers, scopes included (``stage3/transformer1/attention/qkv``), so that the
    nodes of a traced graph and the entries of the state dictionary say where they belong.
    """

    def __init__(self, plan: LayerPlan) -> None:
        super().__init__()
        self.plan = plan
        for layer in plan.layers:
            self.add_module(layer.name, MODULES[layer.kind](layer))
        self._feature_strides = {layer.index: stride for stride, layer in plan.features.items()}
        self._released = _released_after(plan)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of images ``(batch, channels, resolution, resolution)``."""
        return self._run(images, features=None)

    def forward_features(self, images: Tensor) -> dict[int, Tensor]:
        """Maps ``(batch, channels, height, width)`` by stride, the deepest of each."""
        features: dict[int, Tensor] = {}
        self._run(images, features)
        return features

    def _run(self, images: Tensor, features: dict[int, Tensor] | None) -> Tensor:
        outputs: dict[int, Tensor] = {}
        x = images
        for layer in self.plan.layers:
            if features is not None and layer.stage == "head":
                break
            sources = [outputs[i] for i in layer.inputs] if layer.inputs else [images]
            x = self.get_submodule(layer.name)(*sources)
            outputs[layer.index] = x
            if features is not None and layer.index in self._feature_strides:
                features[self._feature_strides[layer.index]] = x
            for index in self._released[layer.index]:
                del outputs[index]
        return x


def build_network(plan: LayerPlan, *, rng: np.random.Generator) -> PlanNetwork:
    """The network of a plan with random weights; the same generator state gives the same weights.

    Weights are normal with variance ``2 / fan_out`` in convolutions (as MobileNetV2) and ``1 / fan_in`` in
    linear layers; biases of linear layers are small but not zero, so that an export that loses one is seen.
    Global random state is neither read nor changed.
    """
    network = PlanNetwork(plan)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] ** 2 * module.out_channels // module.groups
                _fill_normal(module.weight, math.sqrt(2 / fan_out), rng)
            elif isinstance(module, nn.Linear):
                _fill_normal(module.weight, math.sqrt(1 / module.in_features), rng)
                if module.bias is not None:
                    _fill_normal(module.bias, LINEAR_BIAS_STD, rng)
    return network


def _fill_normal(tensor: Tensor, std: float, rng: np.random.Generator) -> None:
    values = rng.standard_normal(tuple(tensor.shape), dtype=np.float32)
    tensor.copy_(torch.from_numpy(values)).mul_(std)


def _released_after(plan: LayerPlan) -> tuple[tuple[int, ...], ...]:
    """For each layer, the layers whose outputs nothing after it reads."""
    last_use = {index: layer.index for layer in plan.layers for index in layer.inputs}
    released: list[list[int]] = [[] for _ in plan.layers]
    for index, user in last_use.items():
        released[user].append(index)
    return tuple(map(tuple, released))
