"""What a training does, as data: two accuracies of one recipe and one data set may be compared."""

import math
from typing import Any, Literal

import msgspec

from hytnas_agent.errors import HytnasError


class TrainingError(HytnasError):
    """A recipe or a data set that nothing can be trained with."""


class TrainingRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a network is trained.

    The learning rate rises linearly over ``warmup`` of the steps and then falls to zero along a cosine
    (Loshchilov and Hutter, 2017). ``shift_pixels`` moves every training image by up to that many pixels each
    way. After the last step the batch-norm statistics are taken afresh over ``batch_norm_images`` training
    images, because the running ones lag behind in a short training (Wu and Johnson, 2021, "Rethinking Batch
    in BatchNorm"). ``evaluate_every`` epochs the test split is classified for the curve; 0: at the end only.
    ``threads`` is part of the recipe because floating-point sums depend on it; one is the default,
    because several wait for each other at every layer of these small networks: two processes of one thread do
    far more on a busy machine than one process of two. ``train_images`` and ``test_images`` say how many
    images are drawn from the source's; 0 takes all. ``flip`` mirrors half of the training images.
    ``mixed_precision`` computes in bfloat16 where that is safe (`torch.autocast`). A network whose test
    accuracy after ``stop_hopeless_after`` epochs cannot be told from chance is not trained to the end, and
    has no label (0: every network is).

    The defaults buy the most informative label for about 10 seconds of one processor core a network. On 8 to
    12 networks of ``hyt`` from 2 seeds each, standard deviations in points of accuracy: 2 epochs at 24x24,
    between networks 13.7, between seeds 4.1; one epoch at 32x32, which costs the same, 9.1 and 5.6; half the
    learning rate, 13.0 and 6.2; twice the learning rate, 7.6 and 6.7. In a collection of 40 networks, 5 of
    them from 3 seeds, the defaults gave 20.4 and 8.7, accuracies from 0.20 to 0.94. At 24x24 as at 32x32 the
    last stage attends over four tokens of each patch position.

    Raises
    ------
    TrainingError
        For a value that no training can have.
    """

    resolution: int = 24
    epochs: int = 2
    batch_size: int = 16
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    momentum: float = 0.9
    warmup: float = 0.2
    label_smoothing: float = 0.1
    shift_pixels: int = 2
    gradient_clip: float = 5.0
    batch_norm_images: int = 256
    flip: bool = False
    mixed_precision: bool = False
    stop_hopeless_after: int = 0
    train_images: int = 900
    test_images: int = 600
    split_seed: int = 0
    evaluate_every: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        positive = (
            "resolution",
            "epochs",
            "batch_size",
            "learning_rate",
            "gradient_clip",
            "threads",
        )
        not_negative = (
            "weight_decay",
            "momentum",
            "shift_pixels",
            "batch_norm_images",
            "evaluate_every",
            "stop_hopeless_after",
            "train_images",
            "test_images",
            "split_seed",
        )
        for name in (*positive, *not_negative):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0 or (value == 0 and name in positive):
                raise TrainingError(f"{name} of a recipe is {value!r}", "Give a positive number")
        for name in ("warmup", "label_smoothing"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise TrainingError(
                    f"{name} of a recipe is {getattr(self, name)!r}", "Give a share in [0, 1)"
                )

    def as_dict(self) -> dict[str, Any]:
        """The recipe as it is stored beside an accuracy."""
        return msgspec.structs.asdict(self)

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Learning rate of step ``step`` (from 0) of ``steps``."""
        warmup_steps = round(self.warmup * steps)
        if step < warmup_steps:
            return self.learning_rate * (step + 1) / warmup_steps
        progress = (step - warmup_steps) / max(steps - warmup_steps, 1)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))
