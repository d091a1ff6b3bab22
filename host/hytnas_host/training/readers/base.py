"""What every reader gives: labelled images that are decoded one by one, when they are asked for."""

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hytnas_agent.regular_file import open_regular
from hytnas_host.training.recipe import TrainingError

IMAGE_FILE_BYTES = 64 * 1024**2
"""A larger image file is unreadable."""
_PIXELS = 100_000_000
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")


class UnreadableImageError(Exception):
    """One image cannot be decoded; the message says why, in a few words."""


@dataclass(frozen=True, eq=False)
class Labels:
    """The classes of some images.

    Attributes
    ----------
    name : str
        What a person calls the images.
    class_names : tuple of str
    labels : (n,) int64
        Positions in ``class_names``.
    tested : (n,) bool, or None
        Which images belong to the test split; ``None`` where the source does not say.
    """

    name: str
    class_names: tuple[str, ...]
    labels: NDArray[np.int64]
    tested: NDArray[np.bool_] | None

    def update(self, digest: "hashlib._Hash") -> None:
        """Take all of it into a digest."""
        digest.update(repr((self.name, self.class_names, self.tested is None)).encode())
        digest.update(self.labels.tobytes())
        if self.tested is not None:
            digest.update(self.tested.tobytes())


class LabelledImages(Protocol):
    """Images with a class each, decoded one by one."""

    @property
    def classes(self) -> Labels:
        """Their classes."""
        ...

    def state(self) -> str:
        """A word that changes whenever an image, a label or the split may have changed."""
        ...

    def called(self, index: int) -> str:
        """What a person finds image ``index`` by."""
        ...

    def content(self, index: int) -> bytes:
        """What image ``index`` is made of. Raises UnreadableImageError."""
        ...

    def picture(self, index: int, content: bytes, size: int) -> Image.Image:
        """Image ``index`` in RGB, decoded from its content.

        It may have fewer pixels than its file says, but no side below ``size`` for it. Raises
        UnreadableImageError.
        """
        ...


class ImageFiles:
    """Images in files.

    Parameters
    ----------
    classes : Labels
    folder : Path
    files : sequence of Path
        Inside of ``folder``.
    """

    def __init__(self, classes: Labels, folder: Path, files: Sequence[Path]) -> None:
        self.classes = classes
        self._folder = folder
        self._files = files

    def state(self) -> str:
        """Of the files' names, sizes and times."""
        digest = hashlib.sha256(os.fsencode(self._folder.absolute()))
        self.classes.update(digest)
        for path in self._files:
            digest.update(os.fsencode(path))
            try:
                status = path.stat()
            except OSError:
                digest.update(b" missing ")
            else:
                digest.update(f" {status.st_size} {status.st_mtime_ns} {status.st_ino} ".encode())
        return digest.hexdigest()

    def called(self, index: int) -> str:
        """Its path."""
        return os.fsencode(self._files[index]).decode(errors="replace")

    def content(self, index: int) -> bytes:
        """The file's."""
        try:
            with open_regular(self._files[index]) as file:
                content = file.read(IMAGE_FILE_BYTES + 1)
        except OSError as error:
            raise UnreadableImageError(error.strerror or "cannot be read") from error
        if len(content) > IMAGE_FILE_BYTES:
            raise UnreadableImageError(f"larger than {IMAGE_FILE_BYTES // 1024**2} MiB")
        return content

    def picture(self, index: int, content: bytes, size: int) -> Image.Image:
        """Decoded, turned upright as its EXIF data say."""
        del index
        try:
            image = Image.open(io.BytesIO(content), formats=_FORMATS)
            if image.width * image.height > _PIXELS:
                raise UnreadableImageError(f"more than {_PIXELS // 1_000_000} million pixels")
            image.draft("RGB", (2 * size, 2 * size))  # a JPEG is decoded at a fraction of its size
            return ImageOps.exif_transpose(image).convert("RGB")
        except UnreadableImageError:
            raise
        except Exception as error:  # whatever a decoder raises on a damaged file
            raise UnreadableImageError(_why(content)) from error


class ImageArrays:
    """Images in one array.

    Parameters
    ----------
    classes : Labels
    images : (n, height, width) or (n, height, width, 3) uint8
    """

    def __init__(self, classes: Labels, images: NDArray[np.uint8]) -> None:
        self.classes = classes
        self._images = images

    def state(self) -> str:
        """Of all pixels."""
        digest = hashlib.sha256(repr(self._images.shape).encode())
        self.classes.update(digest)
        digest.update(np.ascontiguousarray(self._images).data)
        return digest.hexdigest()

    def called(self, index: int) -> str:
        """Its place."""
        return f"image {index}"

    def content(self, index: int) -> bytes:
        """Its pixels."""
        return bytes(self._images[index].tobytes())

    def picture(self, index: int, content: bytes, size: int) -> Image.Image:
        """In RGB; grey is repeated over the channels."""
        del content, size
        return Image.fromarray(self._images[index]).convert("RGB")


def same_length(images: int, labels: int, where: str) -> None:
    """Raises TrainingError unless every image has a label."""
    if images != labels:
        raise TrainingError(f"{where} holds {images} images and {labels} labels", "Give one label an image")


def classes_of(labels: NDArray[np.int64], where: str) -> tuple[str, ...]:
    """Names of numbered classes, ``"0"`` onwards.

    Raises
    ------
    TrainingError
        A label is negative or above 9999.
    """
    if not len(labels):
        raise TrainingError(f"{where} holds no images", "Give labelled images")
    if labels.min() < 0 or labels.max() > 9999:
        raise TrainingError(
            f"{where} has labels from {labels.min()} to {labels.max()}", "Number the classes from 0"
        )
    return tuple(str(label) for label in range(int(labels.max()) + 1))


def _why(content: bytes) -> str:
    if not content:
        return "empty"
    if content.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the image"
    if content.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        return "a web page, not an image"
    return "not an image, or a damaged one"
