"""IDX files, the format of MNIST and Fashion-MNIST (http://yann.lecun.com/exdb/mnist), plain or with gzip."""

import gzip
import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hytnas_host.training.readers.base import ImageArrays, Labels, classes_of, same_length
from hytnas_host.training.recipe import TrainingError

IDX_BYTES = 4 * 1024**3
_TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_UNSIGNED_BYTE = 8


def holds_idx(folder: Path) -> bool:
    """Whether a folder holds the training images of an IDX data set."""
    return _find(folder, _TRAIN[0]) is not None


def read_idx(folder: Path) -> ImageArrays:
    """The data set in ``folder``: ``train-*`` to train, ``t10k-*`` to test, named as MNIST's files are.

    Raises
    ------
    TrainingError
        A file is missing, damaged, or not of unsigned bytes.
    """
    train_images, train_labels = (_read(folder, name) for name in _TRAIN)
    test_images, test_labels = (_read(folder, name) for name in _TEST)
    for images, labels, names in ((train_images, train_labels, _TRAIN), (test_images, test_labels, _TEST)):
        if images.ndim != 3 or labels.ndim != 1:
            raise TrainingError(
                f"{folder} holds {names[0]} of {images.ndim} dimensions and {names[1]} of {labels.ndim}",
                "Images have 3 dimensions, labels 1",
            )
        same_length(len(images), len(labels), str(folder))
    if train_images.shape[1:] != test_images.shape[1:]:
        raise TrainingError(f"the images of {folder} to train and to test differ in size", "Give one size")
    numbers = np.concatenate([train_labels, test_labels]).astype(np.int64)
    classes = Labels(
        f"images of {folder.resolve().name}",
        classes_of(numbers, str(folder)),
        numbers,
        np.arange(len(numbers)) >= len(train_labels),
    )
    return ImageArrays(classes, np.concatenate([train_images, test_images]))


def _find(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.gz", folder / name.replace("-idx", ".idx"))
    return next((path for path in candidates if path.is_file()), None)


def _read(folder: Path, name: str) -> NDArray[np.uint8]:
    path = _find(folder, name)
    if path is None:
        raise TrainingError(f"{folder} lacks {name} (or {name}.gz)", "Give a folder with MNIST's four files")
    opened = gzip.open if path.suffix == ".gz" else Path.open
    try:
        with opened(path, "rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] != _UNSIGNED_BYTE or not 1 <= head[3] <= 3:
                raise TrainingError(f"{path} is not an IDX file of unsigned bytes", "Get the file again")
            shape = struct.unpack(f">{head[3]}I", file.read(4 * head[3]))
            size = math.prod(shape)
            if size > IDX_BYTES:
                raise TrainingError(
                    f"{path} says that it holds {size} bytes", f"At most {IDX_BYTES} are read"
                )
            content = file.read(size)
    except (OSError, EOFError, struct.error) as error:
        raise TrainingError(f"{path} cannot be read: {error}", "Get the file again") from error
    if len(content) != size:
        raise TrainingError(f"{path} ends after {len(content)} of {size} bytes", "Get the file again")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)
