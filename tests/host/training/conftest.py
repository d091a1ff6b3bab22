"""A network that trains in a blink, and recipes for it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hytnas_datasets.plan import LayerPlan, Task, build_plan
from hytnas_datasets.spaces import Architecture, get_space
from hytnas_host.training import TrainingRecipe


@pytest.fixture(scope="session")
def smallest() -> Architecture:
    space = get_space("hyt")
    return space.decode(np.zeros((1, len(space.variables)), dtype=np.int64))[0]


@pytest.fixture(scope="session")
def plan(smallest: Architecture) -> LayerPlan:
    return build_plan(smallest, Task(resolution=24, classes=10))


@pytest.fixture(scope="session")
def build() -> Callable[[LayerPlan, np.random.Generator], nn.Module]:
    def make(plan: LayerPlan, rng: np.random.Generator) -> nn.Module:
        network = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(128, 10),
        )
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(torch.from_numpy(rng.normal(0.0, 0.1, tuple(parameter.shape))))
        return network

    return make


@pytest.fixture(scope="session")
def recipe() -> Callable[..., TrainingRecipe]:
    def make(**changes: Any) -> TrainingRecipe:
        fields: dict[str, Any] = {"resolution": 24, "epochs": 2, "train_images": 200, "test_images": 200}
        return TrainingRecipe(**(fields | changes))

    return make
