"""COCO annotations turned into Visual Wake Words: is there a person in the image?

An image is of class ``person`` where at least one box of a person has more than 0.5 % of the image's area,
and of class ``no person`` otherwise (A. Chowdhery et al., "Visual Wake Words Dataset", arXiv:1906.05721).
"""

from pathlib import Path

import msgspec
import numpy as np

from hytnas_host.training.readers.base import ImageFiles, Labels
from hytnas_host.training.recipe import TrainingError

SMALLEST_SHARE = 0.005
"""Of the image's area, that a person's box must exceed."""
ANNOTATION_BYTES = 2 * 1024**3
_PERSON = "person"
_CLASSES = ("no person", "person")


class _Image(msgspec.Struct):
    id: int
    file_name: str
    width: int
    height: int


class _Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]


class _Category(msgspec.Struct):
    id: int
    name: str


class _Annotations(msgspec.Struct):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read_visual_wake_words(parts: list[tuple[Path, Path]]) -> ImageFiles:
    """Images of COCO, labelled by whether they show a person.

    Parameters
    ----------
    parts : list of (annotations, folder of images)
        One, and the source gives no split; or two, of which the second is the test split. Annotations are
        the ``instances_*.json`` of COCO.

    Raises
    ------
    TrainingError
        A file is not such an annotation, names images outside of its folder, or knows no persons.
    """
    files: list[Path] = []
    labels: list[bool] = []
    tested: list[bool] = []
    for number, (annotations, folder) in enumerate(parts):
        labelled = _label(annotations)
        root = folder.resolve()
        for name, person in labelled:
            path = folder / name
            try:
                inside = path.resolve().is_relative_to(root)
            except (OSError, RuntimeError, ValueError):  # links in a circle; a name that no file has
                inside = False
            if not inside:
                raise TrainingError(
                    f"{annotations} names an image outside of {folder}: {name[:80]!r}",
                    "Use annotations whose images are all in that folder",
                )
            files.append(path)
            labels.append(person)
            tested.append(number == 1)
    counts = np.bincount(np.array(labels, dtype=np.int64), minlength=2)
    if not counts.all():
        which = _CLASSES[int(counts.argmin())]
        raise TrainingError(f"{parts[0][0]} has no image of class {which!r}", "Both classes are needed")
    classes = Labels(
        "Visual Wake Words images",
        _CLASSES,
        np.array(labels, dtype=np.int64),
        np.array(tested) if len(parts) > 1 else None,
    )
    return ImageFiles(classes, parts[0][1], files)


def _label(path: Path) -> list[tuple[str, bool]]:
    """Names of images with whether they show a person, in the order of their ids."""
    read = _read(path)
    persons = {category.id for category in read.categories if category.name == _PERSON}
    if not persons:
        raise TrainingError(
            f"{path} has no category called {_PERSON!r}", "Give the instances_*.json of COCO's annotations"
        )
    areas = {image.id: image.width * image.height for image in read.images}
    shown = {
        annotation.image_id
        for annotation in read.annotations
        if annotation.category_id in persons
        and annotation.bbox[2] * annotation.bbox[3] > SMALLEST_SHARE * areas.get(annotation.image_id, np.inf)
    }
    return [(image.file_name, image.id in shown) for image in sorted(read.images, key=lambda image: image.id)]


def _read(path: Path) -> _Annotations:
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise TrainingError(f"{path} is not a file", "Give the instances_*.json of COCO's annotations")
        if size > ANNOTATION_BYTES:
            raise TrainingError(f"{path} has {size} bytes", f"At most {ANNOTATION_BYTES} are read")
        return msgspec.json.decode(path.read_bytes(), type=_Annotations)
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}", "Name COCO's annotations") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TrainingError(
            f"{path} is not a file of COCO annotations: {error}",
            "Give an instances_*.json: vww:ANNOTATIONS.json,IMAGES",
        ) from error
