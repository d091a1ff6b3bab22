"""Images to train on: scikit-learn's bundled handwritten digits, which are real and always there.

1,797 grey images of 8x8 pixels with values 0 to 16 (E. Alpaydin and C. Kaynak, "Optical Recognition of
Handwritten Digits", UCI Machine Learning Repository, 1998, CC BY 4.0).
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from hytnas_host.training.recipe import TrainingError

CHANNELS = 3
INTERPOLATION = "bilinear"
_PIXEL_MAX = 16.0


@dataclass(frozen=True, eq=False)
class ImageData:
    """A classification data set, split and ready for a network.

    Attributes
    ----------
    name : str
        What a person calls it.
    resolution, classes : int
    train_images, test_images : (n, 3, resolution, resolution) float32, channels last in memory
        Normalised by the mean and standard deviation of the training pixels.
    train_labels, test_labels : (n,) int64
    fingerprint : str
        16 hexadecimal digits of a SHA-256 over the source images, labels, split and preparation; the same on
        every machine.
    chance : float
        Share of the most frequent class of the test split: what always answering it would score.
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


@lru_cache(maxsize=4)
def load_digits_images(
    resolution: int = 24, train_images: int = 900, test_images: int = 600, split_seed: int = 0
) -> ImageData:
    """The digits at ``resolution``, interpolated bilinearly, grey repeated over three channels.

    The split is stratified by class and fixed by ``split_seed``.

    Raises
    ------
    TrainingError
        Either side of the split has fewer than 50 images, or both have more than there are.
    """
    from sklearn.datasets import load_digits  # noqa: PLC0415 (slow to import, and only needed here)

    bunch = load_digits()
    pixels: NDArray[np.uint8] = bunch.images.astype(np.uint8)
    labels: NDArray[np.int64] = bunch.target.astype(np.int64)
    if min(train_images, test_images) < 50 or train_images + test_images > len(pixels):
        raise TrainingError(
            f"{train_images} training and {test_images} test images cannot be had of {len(pixels)} digits",
            f"Take at least 50 for each, and no more than {len(pixels)} in all",
        )
    train, test = _stratified_split(labels, train_images, test_images, split_seed)
    images = torch.from_numpy(pixels.astype(np.float32) / _PIXEL_MAX).unsqueeze(1)
    images = torch.nn.functional.interpolate(
        images, size=(resolution, resolution), mode=INTERPOLATION, align_corners=False
    )
    mean, deviation = float(images[train].mean()), float(images[train].std())
    images = (
        ((images - mean) / deviation).repeat(1, CHANNELS, 1, 1).contiguous(memory_format=torch.channels_last)
    )
    targets = torch.from_numpy(labels)
    counts = np.bincount(labels[test])
    return ImageData(
        name="scikit-learn digits",
        resolution=resolution,
        classes=len(bunch.target_names),
        train_images=images[train],
        train_labels=targets[train],
        test_images=images[test],
        test_labels=targets[test],
        fingerprint=_fingerprint(pixels, labels, train, test, resolution),
        chance=float(counts.max() / counts.sum()),
    )


def _stratified_split(
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


def _fingerprint(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    resolution: int,
) -> str:
    """Hash of the integers the data are made of: interpolated floats may differ in the last bit."""
    digest = hashlib.sha256(f"digits {pixels.shape} {resolution} {INTERPOLATION} {CHANNELS}".encode())
    for array in (pixels, labels, train, test):
        digest.update(np.ascontiguousarray(array.astype("<i8")).tobytes())
    return digest.hexdigest()[:16]
