"""Labels of a study for one target, and a fingerprint that changes when they do."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from hytnas_datasets.bundled import set_folder
from hytnas_datasets.errors import DataSetError
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.portable import SPACE, read_set
from hytnas_datasets.quality_flags import write_flags
from hytnas_datasets.spaces import get_space
from hytnas_datasets.spaces.registry import SPACES
from hytnas_datasets.store import Study


@dataclass(frozen=True)
class LabelChoice:
    """Which labels to take, where a study holds several kinds; ``None`` takes any, if there is only one.

    Attributes
    ----------
    device : str or None
        A device's name or id.
    model_format, precision, converter : str or None
        How the measured model files were made.
    data : str or None
        A data set in files instead of the study: a folder, or ``bundled:NAME``.
    stable_only : bool
        Leave out latencies that are UNSTABLE or have too few undisturbed processes.
    """

    device: str | None = None
    model_format: str | None = None
    precision: str | None = None
    converter: str | None = None
    data: str | None = None
    stable_only: bool = False


ANY: Final = LabelChoice()


def read_labels(study: Path, target: str, space: str, choice: LabelChoice = ANY) -> LabelledSet:
    """The chosen labels of the study for ``target``.

    Raises
    ------
    DataSetError
        There is no such target.
    StudyError
        There is no study, or its labels were made under different conditions.
    NotEnoughDataError
        It holds no label for this target and space.
    DataSetError
        The data set cannot be read, or is of another target or space, or labels of it are to be chosen. Or
        stable labels alone are wanted where it is not known which those are.

    Examples
    --------
    >>> bundled = LabelChoice(data="bundled:hyt-icount-a53")
    >>> len(read_labels(Path("runs/none"), "latency_ms", "hyt", bundled))
    430
    """
    if choice.data is not None:
        _refuse_to_choose(choice)
        labelled = _read_files(choice.data, target, space)
    else:
        labelled = _read_study(study, target, space, choice)
    return labelled.stable() if choice.stable_only else labelled


def _read_study(study: Path, target: str, space: str, choice: LabelChoice) -> LabelledSet:
    with Study.open(study, create=False) as opened:
        return opened.labelled(
            target,
            space=get_space(space),
            device=choice.device,
            model_format=choice.model_format,
            precision=choice.precision,
            converter=choice.converter,
        )


def _refuse_to_choose(choice: LabelChoice) -> None:
    """A data set in files holds one kind of labels: raise DataSetError where one is chosen from it."""
    options = {
        "--device": choice.device,
        "--format": choice.model_format,
        "--precision": choice.precision,
        "--converter": choice.converter,
    }
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise DataSetError(
            f"{', '.join(given)} chooses among a study's labels, and --data takes those of a data set",
            "Leave one of the two out",
        )


def _read_files(data: str, target: str, space: str) -> LabelledSet:
    chosen = get_space(space)  # of a TOML file, which has to be known before its labels are read
    folder = set_folder(data)
    labelled = read_set(folder)
    known = labelled.space.name if labelled.space.name in SPACES else str(folder / SPACE)
    pairs = (
        (target, labelled.target.name, "target", labelled.target.name),
        (chosen.name, labelled.space.name, "space", known),
    )
    for asked, found, option, value in pairs:
        if asked != found:
            raise DataSetError(f"the data set {data} is of {found}, not {asked}", f"add --{option} {value}")
    return labelled


def fingerprint(labels: LabelledSet, *settings: object) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the labels and of the settings used with them."""
    content = (
        labels.space.hash(),
        labels.target.name,
        [
            (a.indices, y, r.tolist())
            for a, y, r in zip(labels.architectures, labels.y.tolist(), labels.repeats, strict=True)
        ],
        labels.context,
        [write_flags(quality_flags) for quality_flags in labels.quality_flags],
        settings,
    )
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:16]
