"""Images decoded once, resized, and kept as bytes in files that every training process maps into its memory.

Decoding a photograph costs more than a small network's step on it; decoded once, a data set feeds any number
of trainings as fast as the disk's cache. An image is scaled until its shorter side has the resolution
(bilinear, with anti-aliasing) and cropped to its centre.
"""

import hashlib
import os
import shutil
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hytnas_agent.account import base_folder
from hytnas_host.training.data import CHANNELS, ImageData, chance_of, split_counts, stratified_split
from hytnas_host.training.readers import LabelledImages, UnreadableImageError
from hytnas_host.training.recipe import TrainingError
from hytnas_predictors.progress import ProgressFactory, SilentProgress

FEWEST_TEST_IMAGES = 20
_BLOCK = 256
_VERSION = 1
_PIXELS, _LABELS, _FACTS = "images.npy", "labels.npy", "facts.json"


class Preparation(msgspec.Struct, frozen=True):
    """What is made of a source: sides of ``resolution`` pixels; at most ``train_images`` and ``test_images``
    (0: all), drawn by ``split_seed`` with the classes' shares kept; images that cannot be read are left out
    where ``skip_unreadable``, and an error otherwise."""

    resolution: int
    train_images: int = 0
    test_images: int = 0
    split_seed: int = 0
    skip_unreadable: bool = False


class _Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Beside the prepared images: the first ``train`` of them are those to train on."""

    name: str
    classes: int
    train: int
    fingerprint: str
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    left_out: int


def cache_folder() -> Path:
    """Where prepared images are kept: ``$XDG_CACHE_HOME/hytnas/images``."""
    return base_folder("XDG_CACHE_HOME", ".cache") / "hytnas" / "images"


def prepare(
    images: LabelledImages,
    wanted: Preparation,
    cache: Path,
    *,
    progress: ProgressFactory = SilentProgress,
) -> ImageData:
    """The images, decoded by an earlier call where nothing of them has changed since.

    Raises
    ------
    TrainingError
        Images cannot be read, are too few, or do not fit onto the disk.
    """
    key = hashlib.sha256(f"{_VERSION} {wanted} {images.state()}".encode()).hexdigest()[:24]
    folder = cache / key
    found = _load(folder, wanted.resolution)
    if found is not None:
        return found
    try:
        cache.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=cache))
        try:
            _decode_all(images, wanted, draft, progress)
            shutil.rmtree(folder, ignore_errors=True)  # of a damaged one
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise TrainingError(
            f"the decoded images cannot be kept in {cache}: {error.strerror or error}",
            "Make room there, or set XDG_CACHE_HOME to a folder that has some",
        ) from error
    found = _load(folder, wanted.resolution)
    if found is None:
        raise TrainingError(f"{folder} was damaged while it was read", "Run the command again")
    return found


def split(images: LabelledImages, wanted: Preparation) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the images to train and to test on, each side shuffled.

    Raises
    ------
    TrainingError
        A side has fewer images than are asked for, or than make sense.
    """
    rng = np.random.default_rng(wanted.split_seed)
    labels, tested = images.classes.labels, images.classes.tested
    if tested is None:
        trains, tests = split_counts(len(labels), wanted.train_images, wanted.test_images)
        train, test = stratified_split(labels, trains, tests, wanted.split_seed)
    else:
        train = _some(np.flatnonzero(~tested), labels, wanted.train_images, wanted)
        test = _some(np.flatnonzero(tested), labels, wanted.test_images, wanted)
    if len(test) < FEWEST_TEST_IMAGES or len(train) < FEWEST_TEST_IMAGES:
        raise TrainingError(
            f"{len(train)} images to train and {len(test)} to test are too few",
            f"Give at least {FEWEST_TEST_IMAGES} for each",
        )
    return rng.permutation(train), rng.permutation(test)


def _some(
    positions: NDArray[np.int64], labels: NDArray[np.int64], count: int, wanted: Preparation
) -> NDArray[np.int64]:
    if not count:
        return positions
    if count > len(positions):
        raise TrainingError(
            f"{count} images are asked for of one side of the split, and there are {len(positions)}",
            "Ask for fewer",
        )
    chosen, _ = stratified_split(labels[positions], count, 0, wanted.split_seed)
    return positions[chosen]


def _decode_all(images: LabelledImages, wanted: Preparation, folder: Path, progress: ProgressFactory) -> None:
    train, test = split(images, wanted)
    order = np.concatenate([train, test])
    size = wanted.resolution
    needed = len(order) * size * size * CHANNELS
    if needed > shutil.disk_usage(folder).free:
        raise OSError(0, f"{needed / 1e9:.1f} GB are needed for {len(order)} images of {size}x{size} pixels")
    pixels = np.lib.format.open_memmap(
        folder / _PIXELS, mode="w+", dtype=np.uint8, shape=(len(order), size, size, CHANNELS)
    )
    digest = hashlib.sha256(f"{_VERSION} {size} {images.classes.class_names} {len(train)}".encode())
    unreadable: dict[int, str] = {}
    read = np.ones(len(order), dtype=bool)

    def decode(place: int) -> bytes | str:
        index = int(order[place])
        try:
            content = images.content(index)
            pixels[place] = _fitted(images.picture(index, content, size), size)
        except UnreadableImageError as error:
            return str(error)
        return hashlib.sha256(content).digest()

    with (
        warnings.catch_warnings(action="ignore"),  # odd metadata of a file do not spoil its pixels
        ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool,  # Pillow decodes without Python's lock
        progress(f"Decoding {images.classes.name}", total=len(order)) as bar,
    ):
        for start in range(0, len(order), _BLOCK):
            places = range(start, min(start + _BLOCK, len(order)))
            for place, outcome in zip(places, pool.map(decode, places), strict=True):
                if isinstance(outcome, str):
                    unreadable[int(order[place])] = outcome
                    read[place] = False
                else:
                    digest.update(outcome + int(images.classes.labels[order[place]]).to_bytes(4, "little"))
            bar.advance(len(places))
    if unreadable and not wanted.skip_unreadable:
        raise TrainingError(_unreadable_line(images, unreadable), "Mend them, or give --skip-unreadable")
    kept = int(read[: len(train)].sum())
    if min(kept, int(read[len(train) :].sum())) < FEWEST_TEST_IMAGES:
        raise TrainingError(_unreadable_line(images, unreadable), "Too few of the images are left")
    if unreadable:
        pixels = _without(pixels, read, folder)
    pixels.flush()
    labels = images.classes.labels[order[read]]
    np.save(folder / _LABELS, labels)
    mean, deviation = _moments(pixels[:kept])
    facts = _Facts(
        name=images.classes.name,
        classes=len(images.classes.class_names),
        train=kept,
        fingerprint=digest.hexdigest()[:16],
        mean=mean,
        deviation=deviation,
        left_out=len(unreadable),
    )
    (folder / _FACTS).write_bytes(msgspec.json.encode(facts))


def _fitted(image: Image.Image, size: int) -> NDArray[np.uint8]:
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))


def _unreadable_line(images: LabelledImages, unreadable: dict[int, str]) -> str:
    first = sorted(unreadable)[:3]
    named = "; ".join(f"{images.called(index)}: {unreadable[index]}" for index in first)
    more = f"; and {len(unreadable) - len(first)} more" if len(unreadable) > len(first) else ""
    return f"{len(unreadable)} of the {images.classes.name} cannot be read ({named}{more})"


def _without(pixels: Any, read: NDArray[np.bool_], folder: Path) -> Any:
    """The images that were read, in a file of their own; one by one, since they may not fit into memory."""
    kept = np.lib.format.open_memmap(
        folder / "kept.npy", mode="w+", dtype=np.uint8, shape=(int(read.sum()), *pixels.shape[1:])
    )
    for place, source in enumerate(np.flatnonzero(read)):
        kept[place] = pixels[source]
    (folder / "kept.npy").rename(folder / _PIXELS)
    return kept


def _moments(
    pixels: NDArray[np.uint8],
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation of each channel over all pixels, block by block."""
    total, squares = np.zeros(CHANNELS), np.zeros(CHANNELS)
    for start in range(0, len(pixels), _BLOCK):
        block = pixels[start : start + _BLOCK].astype(np.float64)
        total += block.sum(axis=(0, 1, 2))
        squares += (block**2).sum(axis=(0, 1, 2))
    count = pixels.size / CHANNELS
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 1.0))  # images of one colour have none
    red, green, blue = (float(value) for value in mean)
    red_deviation, green_deviation, blue_deviation = (float(value) for value in deviation)
    return (red, green, blue), (red_deviation, green_deviation, blue_deviation)


def _load(folder: Path, resolution: int) -> ImageData | None:
    """What an earlier call kept, or ``None`` where it is missing or damaged."""
    try:
        facts = msgspec.json.decode((folder / _FACTS).read_bytes(), type=_Facts)
        # Copied on write: torch wants memory that it may write to, and the file must stay as it is.
        pixels = np.load(folder / _PIXELS, mmap_mode="c", allow_pickle=False)
        labels = np.load(folder / _LABELS, allow_pickle=False)
    except (OSError, ValueError, msgspec.DecodeError):
        return None
    if pixels.shape != (len(labels), resolution, resolution, CHANNELS) or not 0 < facts.train < len(labels):
        return None
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    targets = torch.from_numpy(labels)
    return ImageData(
        name=facts.name,
        resolution=resolution,
        classes=facts.classes,
        train_images=images[: facts.train],
        train_labels=targets[: facts.train],
        test_images=images[facts.train :],
        test_labels=targets[facts.train :],
        fingerprint=facts.fingerprint,
        chance=chance_of(labels[facts.train :]),
        mean=torch.tensor(facts.mean),
        deviation=torch.tensor(facts.deviation),
        left_out=facts.left_out,
    )
