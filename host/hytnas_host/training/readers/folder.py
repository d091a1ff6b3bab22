"""Images in a folder for each class: ``train/CLASS/*.jpg`` and ``val/CLASS/*.jpg``, or ``CLASS/*.jpg``."""

import os
from pathlib import Path

import numpy as np

from hytnas_host.training.readers.base import ImageFiles, Labels
from hytnas_host.training.recipe import TrainingError

SUFFIXES = frozenset(
    (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
)
_TRAIN = ("train", "training")
_TEST = ("val", "valid", "validation", "test")
_LAYOUT = "Give a folder with CLASS/*.jpg, or with train/CLASS/*.jpg and val/CLASS/*.jpg"


def read_folder(folder: Path) -> ImageFiles:
    """The images below ``folder``, their classes named as the folders they are in.

    With a folder called ``train`` the test split is the folder called ``val``, ``valid``, ``validation`` or
    ``test`` beside it (the first of these that is there); otherwise the source gives no split.

    Raises
    ------
    TrainingError
        There is no class, only one, a class without images, or one that only the test split has.
    """
    train = _subfolder(folder, _TRAIN)
    if train is None:
        found = _by_class(folder)
        _check(folder, found)
        parts = [(name, path, False) for name, paths in found.items() for path in paths]
        tested = None
    else:
        test = _subfolder(folder, _TEST)
        if test is None:
            raise TrainingError(f"{folder} has {train.name}/ and no val/ beside it", _LAYOUT)
        found, held_out = _by_class(train), _by_class(test)
        _check(train, found)
        _check(test, held_out)
        if unknown := sorted(held_out.keys() - found.keys()):
            raise TrainingError(
                f"{test} has a class that {train} has not: {unknown[0]}", "Give both the same classes"
            )
        parts = [(name, path, False) for name, paths in found.items() for path in paths]
        parts += [(name, path, True) for name, paths in held_out.items() for path in paths]
        tested = np.array([is_test for _, _, is_test in parts])
    class_names = tuple(sorted(found))
    numbers = {name: number for number, name in enumerate(class_names)}
    labels = np.array([numbers[name] for name, _, _ in parts], dtype=np.int64)
    shown = folder.resolve().name
    classes = Labels(f"images of {shown}", class_names, labels, tested)
    return ImageFiles(classes, folder, [path for _, path, _ in parts])


def _subfolder(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _by_class(folder: Path) -> dict[str, list[Path]]:
    """Class names with their image files, both in order of their names."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise TrainingError(f"{folder} cannot be read: {error.strerror}", _LAYOUT) from error
    return {
        os.fsencode(entry.name).decode(errors="replace"): _images_below(Path(entry.path))
        for entry in entries
        if entry.is_dir() and not entry.name.startswith(".")
    }


def _images_below(folder: Path) -> list[Path]:
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent) / name
            if path.suffix.lower() in SUFFIXES and not name.startswith(".") and path.is_file():
                found.append(path)
    return found


def _check(folder: Path, found: dict[str, list[Path]]) -> None:
    if not any(found.values()):
        raise TrainingError(f"{folder} holds no images in folders of classes", _LAYOUT)
    if empty := [name for name, paths in found.items() if not paths]:
        raise TrainingError(
            f"the folder of class {empty[0]} in {folder} holds no images",
            f"Images are files named {', '.join(sorted(SUFFIXES))}; remove a folder that is no class",
        )
    if len(found) < 2:
        raise TrainingError(
            f"{folder} has one class only, {next(iter(found))}", "An accuracy needs two classes at least"
        )
