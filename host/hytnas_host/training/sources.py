"""Where images to train on come from: one word or path, as ``collect accuracy --data`` takes it."""

from functools import lru_cache
from pathlib import Path
from typing import Final

from hytnas_host.training.data import ImageData
from hytnas_host.training.digits import load_digits_images
from hytnas_host.training.prepared import Preparation, cache_folder, prepare
from hytnas_host.training.readers import (
    LabelledImages,
    holds_idx,
    read_folder,
    read_idx,
    read_npz,
    read_visual_wake_words,
)
from hytnas_host.training.recipe import TrainingError, TrainingRecipe
from hytnas_predictors.progress import ProgressFactory, SilentProgress

DIGITS: Final = "digits"
_VISUAL_WAKE_WORDS: Final = "vww:"
KINDS: Final = (
    "digits; a folder with CLASS/*.jpg, or train/CLASS/*.jpg and val/CLASS/*.jpg; a folder of IDX files; a "
    ".npz; vww:ANNOTATIONS.json,IMAGES"
)


def load_images(
    source: str,
    recipe: TrainingRecipe,
    *,
    skip_unreadable: bool = False,
    progress: ProgressFactory = SilentProgress,
) -> ImageData:
    """The images of ``source`` as ``recipe`` wants them.

    Parameters
    ----------
    source : str
        ``digits``; a folder with a folder for each class, or with ``train`` and ``val`` of such; a folder of
        IDX files; a ``.npz``; ``vww:ANNOTATIONS.json,IMAGES`` (and ``,ANNOTATIONS.json,IMAGES`` of the test
        split), COCO turned into Visual Wake Words.
    skip_unreadable : bool
        Leave out what cannot be decoded.

    Raises
    ------
    TrainingError
        Nothing can be trained on this; the message says why.
    """
    if source == DIGITS:
        return load_digits_images(
            recipe.resolution, recipe.train_images, recipe.test_images, recipe.split_seed
        )
    wanted = Preparation(
        recipe.resolution, recipe.train_images, recipe.test_images, recipe.split_seed, skip_unreadable
    )
    return prepare(read_source(source), wanted, cache_folder(), progress=progress)


@lru_cache(maxsize=4)
def remembered_images(source: str, recipe: TrainingRecipe, skip_unreadable: bool) -> ImageData:
    """What `load_images` gives, once in a process."""
    return load_images(source, recipe, skip_unreadable=skip_unreadable)


def read_source(source: str) -> LabelledImages:
    """The labelled images that a source other than the digits names. Raises TrainingError."""
    if source.startswith(_VISUAL_WAKE_WORDS):
        parts = source.removeprefix(_VISUAL_WAKE_WORDS).split(",")
        if len(parts) not in (2, 4) or not all(parts):
            raise TrainingError(
                f"{source!r} does not name annotations and images",
                "Write vww:ANNOTATIONS.json,IMAGES, and ,ANNOTATIONS.json,IMAGES of the test split after it",
            )
        paths = [Path(part) for part in parts]
        return read_visual_wake_words(list(zip(paths[::2], paths[1::2], strict=True)))
    path = Path(source)
    if path.is_dir():
        return read_idx(path) if holds_idx(path) else read_folder(path)
    if path.is_file() and path.suffix == ".npz":
        return read_npz(path)
    what = f"{source} is neither a folder nor a .npz" if path.exists() else f"{source} does not exist"
    raise TrainingError(what, f"Images come from: {KINDS}")
