"""Train one network briefly and say how many test images it classifies right."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hytnas_datasets.plan import LayerPlan
from hytnas_datasets.store import CurvePoint
from hytnas_host.models import build_network
from hytnas_host.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint, tensors_of
from hytnas_host.training.data import ImageData
from hytnas_host.training.recipe import TrainingError, TrainingRecipe

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
    checkpoint: Path | None = None,
    checkpoint_every_s: float = 30.0,
) -> Training:
    """Train the network of ``plan`` from scratch: on a CUDA device where there is one, else on the processor.

    Weights, order of the images and their shifts come from ``seed`` and the plan's hash alone; the same seed
    on the same machine with the same number of threads gives the same accuracy to the last bit, interrupted
    or not.

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
    checkpoint : Path, optional
        Where a long training is kept at the end of an epoch; a call that finds it there goes on. Whoever has
        stored the result removes it.
    checkpoint_every_s : float
        Seconds of training between two of them.

    Returns
    -------
    Training
        With a failure, not an exception, where the loss or the outputs stop being finite.

    Raises
    ------
    TrainingError
        There are fewer training images than one batch has.
    """
    if len(data.train_labels) < recipe.batch_size:
        raise TrainingError(
            f"{len(data.train_labels)} training images do not fill a batch of {recipe.batch_size}",
            "Take a smaller batch",
        )
    began = time.perf_counter()
    with _threads(recipe.threads):
        run = _Run(plan, data, recipe, seed=seed, host_work=host_work, build=build)
        earlier = run.resume(checkpoint) if checkpoint is not None else 0.0
        saved = began
        while not run.over:
            run.epoch()
            now = time.perf_counter()
            if checkpoint is not None and not run.over and now - saved >= checkpoint_every_s:
                run.save(checkpoint, seconds=earlier + now - began)
                saved = now
    seconds = earlier + time.perf_counter() - began
    return Training(None if run.failure else run.accuracy, tuple(run.curve), seconds, run.failure)


class _Run:
    """One training, epoch by epoch."""

    def __init__(
        self,
        plan: LayerPlan,
        data: ImageData,
        recipe: TrainingRecipe,
        *,
        seed: int,
        host_work: HostWork,
        build: NetworkBuilder,
    ) -> None:
        weights_rng, self._order_rng, self._shift_rng = np.random.default_rng(
            [seed, *hash_words(plan.hash)]
        ).spawn(3)
        self._data = data
        self._recipe = recipe
        self._host_work = host_work
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = build(plan, weights_rng).to(self._device)
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = _optimizer(self._network, recipe)
        self._identity = f"{plan.hash} {seed} {data.fingerprint} {recipe.as_dict()} {self._device.type}"
        self.curve: list[CurvePoint] = []
        self.accuracy: float | None = None
        self.failure = ""

    @property
    def over(self) -> bool:
        return bool(self.failure) or len(self.curve) == self._recipe.epochs

    def resume(self, path: Path) -> float:
        """Go on where ``path`` says that this training was; the seconds that it had taken until then."""
        found = load_checkpoint(path, self._identity)
        if found is None or not found.restore(self._network, self._optimizer):
            return 0.0
        self._order_rng.bit_generator.state, self._shift_rng.bit_generator.state = found.rng_states
        self.curve = list(found.curve)
        return found.seconds

    def save(self, path: Path, seconds: float) -> None:
        save_checkpoint(
            path,
            TrainingState(
                self._identity,
                tensors_of(self._network, self._optimizer),
                (self._order_rng.bit_generator.state, self._shift_rng.bit_generator.state),
                tuple(self.curve),
                seconds,
            ),
        )

    def epoch(self) -> None:
        """Train for one epoch, and classify the test split where the recipe wants it."""
        recipe, number = self._recipe, len(self.curve) + 1
        loss = self._train_epoch(number)
        if not math.isfinite(loss):
            self.failure = f"the training diverged: the loss was {loss} in epoch {number} of {recipe.epochs}"
            return
        measured = None
        asked = number == recipe.stop_hopeless_after
        if (
            number == recipe.epochs
            or asked
            or (recipe.evaluate_every and number % recipe.evaluate_every == 0)
        ):
            measured = self.accuracy = self._test_accuracy()
            if measured is None:
                self.failure = f"the network's outputs were not finite after epoch {number}"
                return
            if asked and number < recipe.epochs and measured <= self._data.chance_limit:
                self.failure = (
                    f"stopped after epoch {number} of {recipe.epochs}: an accuracy of {measured:.1%} cannot "
                    f"be told from chance ({self._data.chance:.1%})"
                )
        self.curve.append(CurvePoint(number, loss, measured))

    def _train_epoch(self, number: int) -> float:
        """Mean loss over the epoch's steps; returns at the first loss that is not finite."""
        data, recipe, device = self._data, self._recipe, self._device
        self._network.train()
        order = self._order_rng.permutation(len(data.train_labels))
        starts = range(0, len(order) - recipe.batch_size + 1, recipe.batch_size)
        total = 0.0
        for index, start in enumerate(starts):
            batch = torch.from_numpy(order[start : start + recipe.batch_size])
            step = (number - 1) * len(starts) + index
            for group in self._optimizer.param_groups:
                group["lr"] = recipe.learning_rate_at(step, recipe.epochs * len(starts))
            images = augmented(data.prepared(data.train_images[batch]), recipe, self._shift_rng)
            with self._host_work():
                self._optimizer.zero_grad(set_to_none=True)
                with self._precision():
                    outputs = self._network(images.to(device))
                loss = nn.functional.cross_entropy(
                    outputs.float(),
                    data.train_labels[batch].to(device),
                    label_smoothing=recipe.label_smoothing,
                )
                value = float(loss.detach())
                if not math.isfinite(value):
                    return value
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self._network.parameters(), recipe.gradient_clip)
                self._optimizer.step()
            total += value
        return total / len(starts)

    def _precision(self) -> AbstractContextManager[object]:
        if not self._recipe.mixed_precision:
            return nullcontext()
        return torch.autocast(self._device.type, dtype=torch.bfloat16)

    def _test_accuracy(self) -> float | None:
        """Fraction of the test images classified right, or ``None`` where an output is not finite."""
        data = self._data
        self._refresh_batch_norm()
        self._network.eval()
        right = 0
        with torch.inference_mode():
            for start in range(0, len(data.test_labels), _EVALUATION_BATCH):
                images = data.prepared(data.test_images[start : start + _EVALUATION_BATCH])
                with self._host_work(), self._precision():
                    outputs = self._network(images.to(self._device)).float().cpu()
                if not bool(torch.isfinite(outputs).all()):
                    return None
                labels = data.test_labels[start : start + _EVALUATION_BATCH]
                right += int((outputs.argmax(dim=1) == labels).sum())
        return right / len(data.test_labels)

    def _refresh_batch_norm(self) -> None:
        """Set the batch-norm statistics to their averages over the first training images."""
        norms = [module for module in self._network.modules() if isinstance(module, _BatchNorm)]
        images = self._data.train_images[: self._recipe.batch_norm_images]
        if not norms or not len(images):
            return
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        self._network.train()
        with torch.no_grad():
            for batch in torch.split(images, _EVALUATION_BATCH):
                with self._host_work(), self._precision():
                    self._network(self._data.prepared(batch).to(self._device))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


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


def augmented(images: torch.Tensor, recipe: TrainingRecipe, rng: np.random.Generator) -> torch.Tensor:
    """Training images as the recipe changes them, each by chance of its own."""
    if recipe.flip:
        mirrored = torch.from_numpy(rng.random(len(images)) < 0.5)
        images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)
    return shifted(images, recipe.shift_pixels, rng)


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
