"""Batch-norm statistics of an untrained network, so that its outputs depend on its inputs."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hytnas_datasets.plan import LayerPlan
from hytnas_datasets.plan.task import Task


def random_images(task: Task, n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """``(n, channels, resolution, resolution)`` standard normal noise."""
    shape = (n, task.in_channels, task.resolution, task.resolution)
    return rng.standard_normal(shape, dtype=np.float32)


def calibrate_batch_norm(
    module: nn.Module, plan: LayerPlan, rng: np.random.Generator, *, batches: int = 3, batch_size: int = 2
) -> None:
    """Set running means and variances to their averages over random batches; leaves the module in eval mode.

    With the statistics a module is born with, an untrained network's output hardly moves between two inputs,
    and a wrong conversion goes unnoticed.
    """
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    module.train()
    with torch.no_grad():
        for _ in range(batches):
            module(torch.from_numpy(random_images(plan.task, batch_size, rng)))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    module.eval()
