"""The measurements published beside the HyT-NAS paper, as architectures of the space ``hyt-released``.

The files hold 23 feature columns and a target. They give absolute channel widths, which are turned back into
the ratios that were drawn: each width is the one before times 1, 1.5 or 2, cut to an integer, and capped. A
width is computed from the one before *as it was before capping*: that explains every published row, and
capping first would not. Feed-forward widths are the ratio times the largest power of two within the channels.

Known defects, handled here and reported per file:

- A capped width can come from several ratios: the smallest are taken, and counted as assumed.
- Accuracy files: column 13 repeats column 11, so the last stage's channels are lost (only its feed-forward
  width narrows them down), and a feed-forward ratio of 1.5 was written as 1. Both are counted as assumed.
- Accuracy files: some rows repeat the features of later rows with other labels. They are misaligned: dropped.

Source: repository ``meclotfi/HyT-NAS-Search-Algorithm``, folder ``datasets``.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hytnas_agent.regular_file import open_regular
from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces.bundled import HYT_RELEASED
from hytnas_datasets.spaces.space import Architecture
from hytnas_datasets.targets import ACCURACY, LATENCY, Target

_COLUMNS: Final = len(HYT_RELEASED.variables)
_WIDTHS: Final = slice(9, 14)
_FEED_FORWARD: Final = slice(17, 20)
_RATIOS: Final = (1.0, 1.5, 2.0)
# Caps of stages 3, 4 and 5; the earliest accuracy rows were made with smaller ones (stage 5's is not known).
_CAPS: Final = ((96, 128, 256), (64, 80, 256))


@dataclass(frozen=True)
class _Format:
    """How a published file is to be read: ``scale`` turns its last column into the target's unit."""

    target: Target
    scale: float
    stage5_lost: bool = False
    repeats_are_misaligned: bool = False


FORMATS: Final[Mapping[str, _Format]] = {
    "models_lat.csv": _Format(LATENCY, 1000.0),
    "models_lat_pre.csv": _Format(LATENCY, 1.0),
    "models_acc_pr.csv": _Format(ACCURACY, 0.01, stage5_lost=True, repeats_are_misaligned=True),
}


@dataclass(frozen=True)
class ReleasedRow:
    """One imported row: its architecture, and the variables whose value is one of several possible."""

    architecture: Architecture
    assumed: tuple[str, ...]


@dataclass(frozen=True)
class ReleasedSet:
    """One published file.

    Attributes
    ----------
    source : str
        Name of the file.
    target : Target
        Latency or accuracy.
    architectures : tuple of n Architecture
    y : (n,) float64
    rows : (n,) int64
        0-based row of the file (blank lines apart) that each came from.
    dropped : tuple of (row, reason)
    assumed : dict of str to int
        For each variable, in how many kept rows its value is one of several that fit.
    """

    source: str
    target: Target
    architectures: tuple[Architecture, ...]
    y: NDArray[np.float64]
    rows: NDArray[np.int64]
    dropped: tuple[tuple[int, str], ...]
    assumed: dict[str, int]

    def __len__(self) -> int:
        return len(self.architectures)

    def report(self) -> str:
        """What was kept, dropped and assumed, a line each."""
        lines = [f"{self.source}: {len(self)} rows imported, {len(self.dropped)} dropped"]
        lines += [f"  row {row} dropped: {reason}" for row, reason in self.dropped]
        lines += [f"  {name} assumed in {count} rows" for name, count in self.assumed.items()]
        return "\n".join(lines)


def from_released_row(row: Sequence[float], *, stage5_lost: bool = False) -> ReleasedRow:
    """The architecture of one published row.

    Parameters
    ----------
    row : sequence of 23 numbers
        The feature columns. Feed-forward columns hold ratios (up to 2) or absolute widths (8 and more).
    stage5_lost : bool
        Whether column 13 is without meaning, as in the accuracy files.

    Raises
    ------
    SpaceError
        Naming the column, where a value is not one the space has or the widths follow from no ratios.
    """
    if len(row) != _COLUMNS:
        raise SpaceError(f"A released row has {_COLUMNS} feature columns, not {len(row)}")
    if not np.isfinite(row).all():
        raise SpaceError("A released row holds a value that is not finite")
    if any(width != int(width) for width in row[_WIDTHS]):
        raise SpaceError("Columns 9-13 of a released row hold channels, which are whole numbers")
    feed_forward = [float(value) for value in row[_FEED_FORWARD]]
    widths, fits = _fitting_ratios(tuple(int(width) for width in row[_WIDTHS]), feed_forward[2], stage5_lost)
    values = [float(value) for value in row]
    values[10:14] = fits[0]
    assumed = [f"stage{i + 2}.ratio" for i in range(4) if len({fit[i] for fit in fits}) > 1]
    for i, width in enumerate(widths):
        if feed_forward[i] > 2:
            values[17 + i] = feed_forward[i] / _power_of_two(width)
            if stage5_lost and values[17 + i] == 1:
                assumed.append(f"stage{i + 3}.ff_ratio")
    indices = []
    for column, (variable, value) in enumerate(zip(HYT_RELEASED.variables, values, strict=True)):
        try:
            indices.append(variable.index(value))
        except SpaceError as error:
            raise SpaceError(f"Column {column}: {error.what}", error.next_step) from error
    return ReleasedRow(Architecture(HYT_RELEASED.name, tuple(indices)), tuple(assumed))


def read_released(folder: Path | str) -> dict[str, ReleasedSet]:
    """The published latencies and accuracies of a folder: ``models_lat.csv`` and ``models_acc_pr.csv``."""
    folder = Path(folder)
    return {
        LATENCY.name: read_released_file(folder / "models_lat.csv"),
        ACCURACY.name: read_released_file(folder / "models_acc_pr.csv"),
    }


def read_released_file(path: Path | str) -> ReleasedSet:
    """One published file, recognised by its name.

    Raises
    ------
    SpaceError
        Where the file cannot be read or its name is not one of `FORMATS`.
    """
    path = Path(path)
    form = FORMATS.get(path.name)
    if form is None:
        raise SpaceError(f"{path} is not a released file", f"Known names: {', '.join(FORMATS)}")
    try:
        with open_regular(path) as file:
            lines = [line for line in file.read().decode().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise SpaceError(f"Cannot read the released file {path}: {error}") from error
    kept: list[tuple[int, ReleasedRow, float]] = []
    dropped: list[tuple[int, str]] = []
    repeated = _misaligned(lines) if form.repeats_are_misaligned else {}
    for number, line in enumerate(lines):
        if number in repeated:
            dropped.append((number, f"repeats the features of row {repeated[number]} with another label"))
            continue
        try:
            features, label = _split(line)
            kept.append((number, from_released_row(features, stage5_lost=form.stage5_lost), label))
        except SpaceError as error:
            dropped.append((number, error.what))
    return ReleasedSet(
        source=path.name,
        target=form.target,
        architectures=tuple(row.architecture for _, row, _ in kept),
        y=np.array([label for _, _, label in kept], dtype=np.float64) * form.scale,
        rows=np.array([number for number, _, _ in kept], dtype=np.int64),
        dropped=tuple(dropped),
        assumed=dict(sorted(Counter(name for _, row, _ in kept for name in row.assumed).items())),
    )


def _split(line: str) -> tuple[list[float], float]:
    """The features and the label of one line; raises SpaceError."""
    cells = line.strip().rstrip(",").split(",")
    if len(cells) != _COLUMNS + 1:
        raise SpaceError(f"has {len(cells)} columns, not {_COLUMNS + 1}")
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError as error:
        raise SpaceError(f"holds something that is not a number: {error}") from error
    if not (np.isfinite(numbers[-1]) and numbers[-1] > 0):
        raise SpaceError(f"has no usable label: {numbers[-1]}")
    return numbers[:-1], numbers[-1]


def _misaligned(lines: Sequence[str]) -> dict[int, int]:
    """Rows whose features come again in a later row with another label, and that later row."""
    later: dict[str, tuple[int, str]] = {}
    repeated: dict[int, int] = {}
    for number in reversed(range(len(lines))):
        features, _, label = lines[number].strip().rpartition(",")
        if features in later and later[features][1] != label:
            repeated[number] = later[features][0]
        later.setdefault(features, (number, label))
    return repeated


def _power_of_two(width: int) -> int:
    """The largest power of two that is at most ``width``."""
    return 1 << (width.bit_length() - 1)


@lru_cache(maxsize=16)
def _every_width(first: int, caps: tuple[int, int, int]) -> list[tuple[tuple[float, ...], tuple[int, ...]]]:
    """The ratios of stages 2-5 and the widths of stages 1-5 that they give, smallest ratios first."""
    rows = []
    for ratios in itertools.product(_RATIOS, repeat=4):
        widths = [first]
        for ratio in ratios:
            widths.append(int(widths[-1] * ratio))
        capped = (min(width, cap) for width, cap in zip(widths[2:], caps, strict=True))
        rows.append((ratios, (*widths[:2], *capped)))
    return rows


def _fitting_ratios(
    widths: tuple[int, ...], feed_forward5: float, stage5_lost: bool
) -> tuple[tuple[int, ...], list[tuple[float, ...]]]:
    """Widths of stages 3-5 and all ratios that fit a row; for a lost stage 5, those of the smallest ratio."""
    for caps in _CAPS:
        fits = []
        for ratios, built in _every_width(widths[0], caps):
            if stage5_lost:
                matches = built[:4] == widths[:4] and feed_forward5 / _power_of_two(built[4]) in (1, 2)
            else:
                matches = built == widths
            if matches:
                fits.append((ratios, built))
        if fits:
            return fits[0][1][2:], [ratios for ratios, _ in fits]
    raise SpaceError(f"Channels {', '.join(map(str, widths))} (columns 9-13) follow from no channel ratios")
