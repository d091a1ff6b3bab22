"""Images, split and ready for a network."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hytnas_host.training.recipe import TrainingError

CHANNELS = 3
INTERPOLATION = "bilinear"
TEST_SHARE = 0.2
"""Of the images, where a source gives no split."""


@dataclass(frozen=True, eq=False)
class ImageData:
    """A classification data set, split and ready for a network.

    Attributes
    ----------
    name : str
        What a person calls it.
    resolution, classes : int
    train_images, test_images : (n, 3, resolution, resolution) float32 or uint8, channels last in memory
        `prepared` makes of them what a network takes; bytes may lie in a file.
    train_labels, test_labels : (n,) int64
    fingerprint : str
        16 hexadecimal digits of a SHA-256 over the source images, labels, split and preparation; the same on
        every machine.
    chance : float
        Share of the most frequent class of the test split: what always answering it would score.
    mean, deviation : (3,) float32
        Of the training pixels of each channel, of bytes; where images are floats they are normalised already.
    left_out : int
        Images that nobody could read.
    """

    name: str
    resolution: int
    classes: int
    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    fingerprint: str
    chance: float
    mean: torch.Tensor | None = None
    deviation: torch.Tensor | None = None
    left_out: int = 0

    def prepared(self, images: torch.Tensor) -> torch.Tensor:
        """Some of the images as a network takes them: float32, normalised, channels last in memory."""
        if self.mean is None or self.deviation is None:
            return images
        floats = images.to(torch.float32, memory_format=torch.channels_last)
        return floats.sub_(self.mean.view(1, -1, 1, 1)).div_(self.deviation.view(1, -1, 1, 1))

    @property
    def chance_limit(self) -> float:
        """What cannot be told from chance ends here: three standard errors of a proportion above it."""
        return self.chance + 3.0 * math.sqrt(self.chance * (1.0 - self.chance) / len(self.test_labels))


def split_counts(images: int, train_images: int, test_images: int) -> tuple[int, int]:
    """How many images each side of the split has: what is asked for, and where that is 0, all.

    A fifth of the images tests where neither is asked for.

    Raises
    ------
    TrainingError
        There are not as many images.
    """
    tests = test_images or max(round(TEST_SHARE * images), 1)
    trains = train_images or images - tests
    if trains < 1 or trains + tests > images:
        raise TrainingError(
            f"{trains} training and {tests} test images cannot be had of {images}", "Ask for fewer"
        )
    return trains, tests


def chance_of(labels: NDArray[np.int64]) -> float:
    """Share of the most frequent class."""
    return float(np.bincount(labels).max() / len(labels))


def stratified_split(
    labels: NDArray[np.int64], train_images: int, test_images: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted positions of the training and the test images, each class shared out in the same proportion.

    Each class is shuffled, its images are spread evenly over a common order, and the two sides are taken from
    the ends of that: every class then has its share on each side, to within one image.
    """
    rng = np.random.default_rng(seed)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[rng.permutation(members)] = (np.arange(len(members)) + rng.random()) / len(members)
    order = np.argsort(place, kind="stable")
    return np.sort(order[:train_images]), np.sort(order[len(order) - test_images :])
