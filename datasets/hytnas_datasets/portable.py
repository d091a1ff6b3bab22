"""Labelled architectures as two files for others: a CSV table and a JSON data sheet that vouches for it."""

import csv
import hashlib
import io
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from hytnas_agent.errors import HytnasError
from hytnas_agent.records import EXECUTION_WORDS, Execution
from hytnas_agent.regular_file import open_regular
from hytnas_agent.whole_file import write_whole
from hytnas_datasets.claim import claim
from hytnas_datasets.errors import DataSetError
from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.quality_flags import FlagCount, read_flags, write_flags
from hytnas_datasets.spaces import get_space, parse_toml, register, to_toml
from hytnas_datasets.spaces.registry import SPACES
from hytnas_datasets.targets import Target, get_target

FORMAT_VERSION: Final = 2
TABLE: Final = "labels.csv"
SPACE: Final = "space.toml"
DATA_SHEET: Final = "datasheet.json"
MAX_SHEET_BYTES: Final = 1 << 20
MAX_TABLE_BYTES: Final = 64 << 20
COLUMNS: Final = {
    "architecture": "id of the architecture, as commands take it",
    "plan_hash": "identity of the network; rows that share it are one network",
    "label": "the label, in the data sheet's unit",
    "repeats": "independent repeats behind the label, same unit, separated by semicolons",
    "execution": "how a device came by the label; only `native` ones are a board's. Empty for accuracies",
}
FLAG_COLUMN: Final = {
    "quality_flags": "`unstable`: its interval stayed wider than the target; `disturbed`: too few of its "
    "processes were undisturbed; `untargeted`: of a fixed number of processes, held to no width. Separated "
    "by semicolons",
}
"""A further column of the sets in which that is known."""
CAUTIONS: Final[dict[Execution, str]] = {
    "native": "Latencies of the device named in the context, and of no other.",
    "emulated": "Latencies of an emulator. They say nothing about the speed of a board.",
    "instruction_count": "Executed instructions of an emulated processor, divided by a constant rate. "
    "The emulator knows no caches, no memory bandwidth and no pipeline: these are not the latencies of any "
    "Cortex-A53, nor of a Raspberry Pi.",
    "simulated": "Computed, not measured.",
}


class FileRecord(msgspec.Struct, frozen=True):
    """What a file must be."""

    sha256: str
    bytes: int


class _Version(msgspec.Struct, frozen=True):
    format_version: int


class DataSheet(msgspec.Struct, frozen=True):
    """Everything a reader of the table must know."""

    format_version: int
    name: str
    summary: str
    licence: str
    target: str
    unit: str
    labels: int
    networks: int
    space: str
    space_hash: str
    context: LabelContext
    latencies: str
    caution: str
    columns: dict[str, str]
    files: dict[str, FileRecord]
    quality_flags: FlagCount | None = None
    extra: dict[str, str] = {}
    provenance: dict[str, Any] = {}


def write_set(
    labelled: LabelledSet,
    folder: Path,
    *,
    name: str,
    summary: str,
    licence: str,
    provenance: dict[str, Any],
) -> DataSheet:
    """Write the table and its data sheet into ``folder``, the sheet last; raises DataSetError.

    A space that the toolkit does not know by its name is written beside them, as ``space.toml``.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from hytnas_datasets.bundled import load
    >>> labels = load("hyt-icount-a53")
    >>> with TemporaryDirectory() as folder:
    ...     sheet = write_set(
    ...         labels, Path(folder), name="copy", summary="a copy", licence="CC0-1.0", provenance={}
    ...     )
    ...     sheet.labels == len(read_set(Path(folder)))
    True
    """
    files = {TABLE: _table(labelled)}
    if labelled.space.name not in SPACES:
        files[SPACE] = to_toml(labelled.space).encode()
    sheet = DataSheet(
        format_version=FORMAT_VERSION,
        name=name,
        summary=summary,
        licence=licence,
        target=labelled.target.name,
        unit=labelled.target.unit_words,
        labels=len(labelled),
        networks=len(set(labelled.plan_hashes)),
        space=labelled.space.name,
        space_hash=labelled.space.hash(),
        context=labelled.context,
        latencies=EXECUTION_WORDS[labelled.context.execution] if labelled.target.of_device else "",
        caution=_caution(labelled),
        columns=_columns(labelled),
        files={
            file: FileRecord(hashlib.sha256(content).hexdigest(), len(content))
            for file, content in files.items()
        },
        quality_flags=labelled.flag_count,
        extra=labelled.extra,
        provenance={"labels": labelled.provenance, **provenance},
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        claim(folder, list(files), DATA_SHEET)
        for file, content in files.items():
            write_whole(folder / file, content)
        write_whole(folder / DATA_SHEET, msgspec.json.format(msgspec.json.encode(sheet)))
    except OSError as error:
        raise DataSetError(
            f"the data set cannot be written to {folder} ({error.strerror})", "Name another folder"
        ) from error
    return sheet


def _caution(labelled: LabelledSet) -> str:
    if not labelled.target.of_device:
        return ""
    context = labelled.context
    return CAUTIONS[context.execution] if context.device else "The toolkit does not know what measured these."


def _record(content: bytes) -> FileRecord:
    return FileRecord(hashlib.sha256(content).hexdigest(), len(content))


def read_sheet(folder: Path) -> DataSheet:
    """The data sheet of a folder; raises DataSetError.

    Examples
    --------
    >>> from hytnas_datasets.bundled import set_folder
    >>> read_sheet(set_folder("bundled:hyt-icount-a53")).space
    'hyt'
    """
    try:
        content = _read(folder / DATA_SHEET, MAX_SHEET_BYTES)
        found = msgspec.json.decode(content, type=_Version).format_version
        if found != FORMAT_VERSION:
            raise DataSetError(
                f"{folder} is of format {found}, this version of hytnas reads {FORMAT_VERSION}",
                "Use the version of hytnas that wrote it",
            )
        return msgspec.json.decode(content, type=DataSheet)
    except ValueError as error:
        raise DataSetError(f"{folder / DATA_SHEET} is malformed: {error}", _ADVICE) from error


def read_set(folder: Path) -> LabelledSet:
    """The labelled architectures of a folder.

    Raises
    ------
    DataSetError
        The files are missing, too large, not those that the data sheet vouches for, or of another
        definition of the space.

    Examples
    --------
    >>> from hytnas_datasets.bundled import set_folder
    >>> len(read_set(set_folder("bundled:hyt-icount-a53")))
    430
    """
    sheet = read_sheet(folder)
    target = get_target(sheet.target)
    table = _read_vouched(folder, TABLE, sheet)
    if SPACE in sheet.files:
        space = register(parse_toml(_read_vouched(folder, SPACE, sheet).decode()))
    else:
        space = get_space(sheet.space)
    if space.hash() != sheet.space_hash:
        raise DataSetError(
            f"{folder} was made with another definition of the space {sheet.space!r} "
            f"({sheet.space_hash}, now {space.hash()})",
            "Use the definition it was made with",
        )
    try:
        rows = _rows(table, sheet, target)
        architectures = tuple(space.parse(row["architecture"]) for row in rows)
        y = np.array([_label(row["label"], target) for row in rows], dtype=np.float64)
        repeats = tuple(np.array([_label(v, target) for v in row["repeats"].split(";")]) for row in rows)
        plan_hashes = tuple(row["plan_hash"] for row in rows)
        quality_flags = tuple(read_flags(row["quality_flags"]) for row in rows if "quality_flags" in row)
    except (ValueError, csv.Error, HytnasError) as error:
        raise DataSetError(f"{folder / TABLE} cannot be understood: {error}", _ADVICE) from error
    return LabelledSet(
        space=space,
        architectures=architectures,
        plan_hashes=plan_hashes,
        y=y,
        repeats=repeats,
        target=target,
        context=sheet.context,
        provenance=f"{sheet.name}: {sheet.summary}",
        extra=sheet.extra,
        quality_flags=quality_flags,
    )


def _read_vouched(folder: Path, name: str, sheet: DataSheet) -> bytes:
    """A file of the data set; raises DataSetError where it is not the one that the sheet describes."""
    content = _read(folder / name, MAX_TABLE_BYTES)
    expected = sheet.files.get(name)
    if expected is None or _record(content).sha256 != expected.sha256:
        raise DataSetError(f"{folder / name} is not the file that its data sheet describes", _ADVICE)
    return content


_ADVICE: Final = "Get the data set again from where it came"


def _table(labelled: LabelledSet) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_columns(labelled))
    ids = labelled.space.format_all(labelled.architectures)
    execution = _execution_cell(labelled.target, labelled.context)
    labels = [repr(label) for label in labelled.y.tolist()]
    repeats = [";".join(map(repr, each.tolist())) for each in labelled.repeats]
    columns = [ids, labelled.plan_hashes, labels, repeats, [execution] * len(labelled)]
    if labelled.quality_flags:
        columns.append([write_flags(each) for each in labelled.quality_flags])
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode()


def _columns(labelled: LabelledSet) -> dict[str, str]:
    return COLUMNS | FLAG_COLUMN if labelled.quality_flags else COLUMNS


def _rows(table: bytes, sheet: DataSheet, target: Target) -> list[dict[str, str]]:
    """The rows of a table, as many as the sheet says and all of its kind; raises ValueError, csv.Error."""
    header, *lines = csv.reader(io.StringIO(table.decode()), strict=True)
    expected = list(COLUMNS | FLAG_COLUMN if "quality_flags" in sheet.columns else COLUMNS)
    if header != expected:
        raise ValueError(f"its columns are {', '.join(header)}, not {', '.join(expected)}")
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    networks = len({row["plan_hash"] for row in rows})
    if not rows or (len(rows), networks) != (sheet.labels, sheet.networks):
        raise ValueError(
            f"it holds {len(rows)} labels of {networks} networks, its data sheet says {sheet.labels} of "
            f"{sheet.networks}"
        )
    execution = _execution_cell(target, sheet.context)
    for row in rows:
        if row["execution"] != execution:
            raise ValueError(f"a label is {row['execution']!r}, its data sheet says {execution!r}")
    return rows


def _execution_cell(target: Target, context: LabelContext) -> str:
    return context.execution if target.of_device else ""


def _read(path: Path, limit: int) -> bytes:
    try:
        with open_regular(path) as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise DataSetError(f"{path} cannot be read: {error.strerror}", _ADVICE) from error
    if len(content) > limit:
        raise DataSetError(f"{path} is larger than {limit} bytes", _ADVICE)
    return content


def _label(text: str, target: Target) -> float:
    value = float(text)
    if not target.is_valid(value):
        raise ValueError(f"{text!r} is no label of {target.words}, which is {target.describe_range()}")
    return value
