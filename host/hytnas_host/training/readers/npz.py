"""NumPy archives with arrays of images and labels."""

import zipfile
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hytnas_agent.regular_file import open_regular
from hytnas_host.training.readers.base import ImageArrays, Labels, classes_of, same_length
from hytnas_host.training.recipe import TrainingError

NPZ_BYTES: Final = 8 * 1024**3
_SPLIT: Final = (
    ("x_train", "y_train", "x_test", "y_test"),  # Keras
    ("train_images", "train_labels", "test_images", "test_labels"),  # MedMNIST
)
_WHOLE: Final = (("images", "labels"), ("x", "y"))
_NAMES: Final = (
    "Name the arrays images and labels, or x_train, y_train, x_test and y_test; images are (n, height, "
    "width) or (n, height, width, 3), of bytes or of fractions"
)


def read_npz(path: Path) -> ImageArrays:
    """The images of an archive, without pickled objects.

    Raises
    ------
    TrainingError
        It is not such an archive, or its arrays are not images with labels.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > NPZ_BYTES:
            raise TrainingError(f"{path} unpacks to {size} bytes", f"At most {NPZ_BYTES} are read")
        with open_regular(path) as file, np.load(file, allow_pickle=False) as arrays:
            names = next((names for names in (*_SPLIT, *_WHOLE) if set(names) <= set(arrays.files)), None)
            if names is None:
                held = ", ".join(sorted(arrays.files)[:8]) or "nothing"
                raise TrainingError(f"{path} holds {held}", _NAMES)
            parts = [(_images(arrays[x], path), _labels(arrays[y], path)) for x, y in _pairs(names)]
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise TrainingError(f"{path} is not a NumPy archive of arrays: {error}", _NAMES) from error
    for images, labels in parts:
        same_length(len(images), len(labels), str(path))
    if len({images.shape[1:] for images, _ in parts}) > 1:
        raise TrainingError(f"the images of {path} to train and to test differ in size", "Give one size")
    labels = np.concatenate([labels for _, labels in parts])
    classes = Labels(
        f"images of {path.name}",
        classes_of(labels, str(path)),
        labels,
        np.arange(len(labels)) >= len(parts[0][1]) if len(parts) > 1 else None,
    )
    return ImageArrays(classes, np.concatenate([images for images, _ in parts]))


def _pairs(names: tuple[str, ...]) -> list[tuple[str, str]]:
    return list(zip(names[::2], names[1::2], strict=True))


def _images(array: NDArray[np.generic], path: Path) -> NDArray[np.uint8]:
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] != 3) or 0 in array.shape:
        raise TrainingError(f"{path} holds images of shape {array.shape}", _NAMES)
    if array.dtype == np.uint8:
        return array.astype(np.uint8, copy=False)
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise TrainingError(f"{path} holds images of fractions outside 0 to 1", _NAMES)
        return np.rint(array.astype(np.float64) * 255.0).astype(np.uint8)
    raise TrainingError(f"{path} holds images of type {array.dtype}", _NAMES)


def _labels(array: NDArray[np.generic], path: Path) -> NDArray[np.int64]:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "iub":
        raise TrainingError(f"{path} holds labels of type {array.dtype} and shape {array.shape}", _NAMES)
    return array.astype(np.int64)
