"""scikit-learn's bundled handwritten digits, which are real and always there.

1,797 grey images of 8x8 pixels with values 0 to 16 (E. Alpaydin and C. Kaynak, "Optical Recognition of
Handwritten Digits", UCI Machine Learning Repository, 1998, CC BY 4.0).
"""

import gzip
import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hytnas_host.training.data import (
    CHANNELS,
    INTERPOLATION,
    ImageData,
    chance_of,
    split_counts,
    stratified_split,
)
from hytnas_host.training.recipe import TrainingError

_PIXEL_MAX = 16.0
_SIDE = 8


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
    pixels, labels = read_digits()
    train_images, test_images = split_counts(len(labels), train_images, test_images)
    if min(train_images, test_images) < 50:
        raise TrainingError(
            f"{train_images} training and {test_images} test images of the digits are too few",
            "Take at least 50 for each",
        )
    train, test = stratified_split(labels, train_images, test_images, split_seed)
    images = torch.from_numpy(pixels.astype(np.float32) / _PIXEL_MAX).unsqueeze(1)
    images = torch.nn.functional.interpolate(
        images, size=(resolution, resolution), mode=INTERPOLATION, align_corners=False
    )
    mean, deviation = float(images[train].mean()), float(images[train].std())
    images = (
        ((images - mean) / deviation).repeat(1, CHANNELS, 1, 1).contiguous(memory_format=torch.channels_last)
    )
    targets = torch.from_numpy(labels)
    return ImageData(
        name="scikit-learn digits",
        resolution=resolution,
        classes=int(labels.max()) + 1,
        train_images=images[train],
        train_labels=targets[train],
        test_images=images[test],
        test_labels=targets[test],
        fingerprint=_fingerprint(pixels, labels, train, test, resolution),
        chance=chance_of(labels[test]),
    )


def read_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(1797, 8, 8) pixels and (1797,) labels of `sklearn.datasets.load_digits`.

    They are read from the file that comes with scikit-learn: its import takes every process that trains
    longer than a whole training of the smallest networks.
    """
    found = importlib.util.find_spec("sklearn")
    file = Path(found.origin if found and found.origin else "").parent / "datasets/data/digits.csv.gz"
    if file.is_file():
        with gzip.open(file, "rt") as text:
            table = np.loadtxt(text, delimiter=",")
        pixels, labels = table[:, :-1].reshape(-1, _SIDE, _SIDE), table[:, -1]
    else:  # a version that keeps it elsewhere
        from sklearn.datasets import load_digits  # noqa: PLC0415 (slow to import, and only needed here)

        bunch = load_digits()
        pixels, labels = bunch.images, bunch.target
    return pixels.astype(np.uint8), labels.astype(np.int64)


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
