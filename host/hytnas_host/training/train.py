"""Train one network briefly and say how many test images it classifies right."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import msgspec
import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hytnas_datasets.plan import LayerPlan
from hytnas_datasets.store import CurvePoint
from hytnas_host.models import build_network
from hytnas_host.training.data import ImageData
from hytnas_host.training.recipe import TrainingRecipe

HostWork = Callable[[], AbstractContextManager[None]]
"""Held for one training step at a time; blocks while a timed run needs the machine for itself."""

NetworkBuilder = Callable[[LayerPlan, np.random.Generator], nn.Module]

_EVALUATION_BATCH = 128


class Training(msgspec.Struct, frozen=True):
    """What came of one training.

    ``accuracy`` is the fraction of test images classified right, ``None`` where ``failure`` says why not.
    ``seconds`` is wall time, waiting for ``host_work`` included.
    """

    accuracy: float | None
    curve: tuple[CurvePoint, ...]
    seconds: float
    failure: str = ""


def _build(plan: LayerPlan, rng: np.random.Generator) -> nn.Module:
    return build_network(plan, rng=rng)


def train_network(
    plan: LayerPlan,
    data: ImageData,
    recipe: TrainingRecipe,
    *,
    seed: int,
    host_work: HostWork = nullcontext,
    build: NetworkBuilder = _build,
) -> Training:
    """Train the network of ``plan`` from scratch on the processor.

    Weights, order of the images and their shifts come from ``seed`` and the plan's hash alone; the same seed
    on the same machine with the same number of threads gives the same accuracy to the last bit.

    Parameters
    ----------
    plan : LayerPlan
        For the resolution and classes of ``data``.
    seed : int
        One training; another seed is an independent repeat.
    host_work : callable giving a context manager
        Entered for every training step and evaluation batch.
    build : callable, optional
        Makes the module of a plan from a generator.

    Returns
    -------
    Training
        With a failure, not an exception, where the loss or the outputs stop being finite.
    """
    started = time.perf_counter()
    rng = np.random.default_rng([seed, *hash_words(plan.hash)])
    weights_rng, order_rng, shift_rng = rng.spawn(3)
    curve: list[CurvePoint] = []
    accuracy: float | None = None
    failure = ""
    with _threads(recipe.threads):
        network = build(plan, weights_rng).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = _optimizer(network, recipe)
        for epoch in range(1, recipe.epochs + 1):
            loss = _epoch(
                network,
                optimizer,
                data,
                recipe,
                epoch=epoch,
                rngs=(order_rng, shift_rng),
                host_work=host_work,
            )
            if not math.isfinite(loss):
                failure = f"the training diverged: the loss was {loss} in epoch {epoch} of {recipe.epochs}"
                break
            measured = None
            if epoch == recipe.epochs or (recipe.evaluate_every and epoch % recipe.evaluate_every == 0):
                measured = accuracy = _test_accuracy(network, data, recipe, host_work)
                if accuracy is None:
                    failure = f"the network's outputs were not finite after epoch {epoch}"
                    break
            curve.append(CurvePoint(epoch, loss, measured))
    return Training(None if failure else accuracy, tuple(curve), time.perf_counter() - started, failure)


def hash_words(digest: str) -> list[int]:
    """A hexadecimal digest as 32-bit words, to seed a generator with."""
    return [int(digest[start : start + 8], 16) for start in range(0, min(len(digest), 32), 8)]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _optimizer(network: nn.Module, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    """Weight decay on matrices and kernels only, not on norms and biases."""
    decayed = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    plain = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=True)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def _epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: ImageData,
    recipe: TrainingRecipe,
    *,
    epoch: int,
    rngs: tuple[np.random.Generator, np.random.Generator],
    host_work: HostWork,
) -> float:
    """Mean loss over the epoch's steps; returns at the first loss that is not finite."""
    order_rng, shift_rng = rngs
    network.train()
    order = order_rng.permutation(len(data.train_labels))
    starts = range(0, len(order) - recipe.batch_size + 1, recipe.batch_size)
    total = 0.0
    for index, start in enumerate(starts):
        batch = torch.from_numpy(order[start : start + recipe.batch_size])
        step = (epoch - 1) * len(starts) + index
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(step, recipe.epochs * len(starts))
        images = shifted(data.train_images[batch], recipe.shift_pixels, shift_rng)
        with host_work():
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(
                network(images), data.train_labels[batch], label_smoothing=recipe.label_smoothing
            )
            value = float(loss.detach())
            if not math.isfinite(value):
                return value
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_clip)
            optimizer.step()
        total += value
    return total / len(starts)


def shifted(images: torch.Tensor, pixels: int, rng: np.random.Generator) -> torch.Tensor:
    """Each image moved by up to ``pixels`` each way, its border repeated into the gap."""
    if pixels == 0:
        return images
    size = images.shape[-1]
    padded = nn.functional.pad(images, (pixels,) * 4, mode="replicate")
    offsets = rng.integers(0, 2 * pixels + 1, size=(len(images), 2))
    moved = [
        image[:, top : top + size, left : left + size]
        for image, (top, left) in zip(padded, offsets.tolist(), strict=True)
    ]
    return torch.stack(moved).contiguous(memory_format=torch.channels_last)


def _test_accuracy(
    network: nn.Module, data: ImageData, recipe: TrainingRecipe, host_work: HostWork
) -> float | None:
    """Fraction of the test images classified right, or ``None`` where an output is not finite."""
    _refresh_batch_norm(network, data.train_images[: recipe.batch_norm_images], host_work)
    network.eval()
    right = 0
    with torch.inference_mode():
        for start in range(0, len(data.test_labels), _EVALUATION_BATCH):
            with host_work():
                outputs = network(data.test_images[start : start + _EVALUATION_BATCH])
            if not bool(torch.isfinite(outputs).all()):
                return None
            labels = data.test_labels[start : start + _EVALUATION_BATCH]
            right += int((outputs.argmax(dim=1) == labels).sum())
    return right / len(data.test_labels)


def _refresh_batch_norm(network: nn.Module, images: torch.Tensor, host_work: HostWork) -> None:
    """Set the batch-norm statistics to their averages over ``images``."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    if not norms or not len(images):
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    network.train()
    with torch.no_grad():
        for batch in torch.split(images, _EVALUATION_BATCH):
            with host_work():
                network(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
