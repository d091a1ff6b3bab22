"""A table's rows as architectures of a space without networks, with labels; and what is odd about them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.errors import DataSetError, SpaceError
from hytnas_datasets.families.none import NO_NETWORKS
from hytnas_datasets.families.registry import get_family
from hytnas_datasets.importing.foreign_table import ForeignTable
from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import Task, network_hash
from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.spaces.bundled import HYT_RELEASED
from hytnas_datasets.spaces.released import ReleasedSet
from hytnas_datasets.spaces.variables import MAX_CHOICES, Choice, Variable
from hytnas_datasets.targets import Target, get_target

NO_VALUE: Final = "(none)"
"""The choice of a column of words where a row has no value."""
OUTLIER_DEVIATIONS: Final = 6.0
_SHOWN: Final = 5


@dataclass(frozen=True)
class TableColumns:
    """What the columns of a table are.

    Attributes
    ----------
    target : str
        What the labels are of, e.g. ``latency_ms``.
    label : str or None
        The column with the labels; the one called like the target where it is ``None``.
    unit : str
        In which the labels are given; the target's own by default.
    features : tuple of str
        Columns that describe a candidate; empty: all others.
    repeats_of : str or None
        A column whose value names a candidate: rows that share it are repeats.
    """

    target: str
    label: str | None = None
    unit: str | None = None
    features: tuple[str, ...] = ()
    repeats_of: str | None = None


@dataclass(frozen=True)
class Imported:
    """Labels from a table.

    Attributes
    ----------
    labelled : LabelledSet
    notes : tuple of str
        What was left out, merged or assumed, and what is odd: one line each.
    """

    labelled: LabelledSet
    notes: tuple[str, ...]


@dataclass
class _Notes:
    lines: list[str] = field(default_factory=list)

    def rows(self, what: str, rows: Sequence[int]) -> None:
        """Note rows, named by their number from 1."""
        if rows:
            named = ", ".join(str(row + 1) for row in rows[:_SHOWN])
            more = ", ..." if len(rows) > _SHOWN else ""
            rows_word = "row" if len(rows) == 1 else "rows"
            self.lines.append(f"{len(rows)} {rows_word} {what} ({rows_word} {named}{more})")


def import_table(table: ForeignTable, columns: TableColumns, *, name: str, source: str = "") -> Imported:
    """Candidates and labels of a table.

    Each column of features becomes a variable whose choices are the column's values, numbers in their order.
    Rows that are alike in features and label are one row; rows alike in features alone are repeats of one
    candidate, whose label is their median (or mean, where the target's noise is absolute). A column with one
    value is left out. A row without a label, or without a number in a column of numbers, is left out; a
    missing word is a choice of its own.

    Parameters
    ----------
    table : ForeignTable
    columns : TableColumns
    name : str
        Of the new space.
    source : str
        Where the table comes from, for the provenance.

    Raises
    ------
    DataSetError
        A column is missing, has too many values, or no labelled row is left.
    """
    target = get_target(columns.target)
    label = columns.label or columns.target
    features = list(_features(table, columns, label))
    factor = _unit_factor(target, columns.unit)
    notes = _Notes()
    kept = _usable_rows(table, features, label, factor=factor, target=target, notes=notes)
    varying = [column for column in features if len({table.columns[column][row] for row in kept}) > 1]
    if constant := [column for column in features if column not in varying]:
        notes.lines.append(f"columns with one value, left out: {', '.join(constant)}")
    if not varying:
        raise DataSetError("no column of features has two values", "Name other columns with --features")
    space = Space(name, tuple(_variable(column, table, kept) for column in varying), NO_NETWORKS.name)
    labels = {row: float(table.columns[label][row]) * factor for row in kept}  # type: ignore[arg-type]
    encoded = {row: _architecture(space, varying, table, row) for row in kept}
    if columns.repeats_of is not None:
        kept = _same_candidates(table, columns.repeats_of, kept, encoded, notes)
    groups = _group(kept, encoded, labels, notes)
    repeats = tuple(np.array([labels[row] for row in rows]) for rows in groups.values())
    _describe_noise(repeats, groups, target, notes)
    return Imported(
        LabelledSet(
            space=space,
            architectures=tuple(groups),
            plan_hashes=tuple(space.format_all(tuple(groups))),
            y=_centres(repeats, target),
            repeats=repeats,
            target=target,
            context=LabelContext(Task()),
            provenance=f"imported from {source}" if source else "imported",
        ),
        tuple(notes.lines),
    )


def candidates_of(table: ForeignTable, space: Space) -> tuple[Architecture, ...]:
    """The architecture of each row, by the columns that are called like the space's variables.

    Raises
    ------
    DataSetError
        A variable has no column, a row has a value that is no choice, or breaks a constraint.
    """
    columns = {_variable_name(column): column for column in table.columns}
    if missing := [variable.name for variable in space.variables if variable.name not in columns]:
        raise DataSetError(
            f"the table has no column {missing[0]!r}",
            f"It needs one for each variable of {space.name}: "
            f"{', '.join(variable.name for variable in space.variables)}",
        )
    found = []
    for row in range(len(table)):
        values = {name: _cell(table, column, row) for name, column in columns.items()}
        try:
            found.append(space.from_values({v.name: values[v.name] for v in space.variables}))
        except SpaceError as error:
            raise DataSetError(
                f"row {row + 1} is not of {space.name}: {error.what}", error.next_step
            ) from error
    return tuple(found)


def import_released(found: ReleasedSet) -> Imported:
    """One of the files published beside the HyT-NAS paper, and what is wrong with it."""
    notes = _Notes()
    reasons: dict[str, list[int]] = {}
    for row, reason in found.dropped:
        reasons.setdefault(re.sub(r"\d+", "N", reason), []).append(row)
    for reason, rows in reasons.items():
        notes.rows(f"left out: {reason}", rows)
    notes.lines += [
        f"{variable} is one of several values that fit in {count} rows; the smallest was taken"
        for variable, count in found.assumed.items()
    ]
    groups: dict[Architecture, list[int]] = {}
    for index, architecture in enumerate(found.architectures):
        groups.setdefault(architecture, []).append(index)
    repeats = tuple(found.y[members] for members in groups.values())
    names = {index: int(row) for index, row in enumerate(found.rows)}
    _describe_noise(
        repeats, {key: [names[i] for i in members] for key, members in groups.items()}, found.target, notes
    )
    task = get_family(HYT_RELEASED.family).default_task
    return Imported(
        LabelledSet(
            space=HYT_RELEASED,
            architectures=tuple(groups),
            plan_hashes=tuple(network_hash(architecture, task) for architecture in groups),
            y=_centres(repeats, found.target),
            repeats=repeats,
            target=found.target,
            context=LabelContext(task),
            provenance=f"imported from {found.source}, published beside the HyT-NAS paper",
        ),
        tuple(notes.lines),
    )


def _features(table: ForeignTable, columns: TableColumns, label: str) -> Sequence[str]:
    """The columns of features; raises DataSetError where a named column is missing."""
    named = (label, *columns.features, *((columns.repeats_of,) if columns.repeats_of else ()))
    for column in named:
        if column not in table.columns:
            held = ", ".join(list(table.columns)[:12])
            raise DataSetError(f"the table has no column {column!r}", f"Its columns are {held}")
    if label in columns.features or columns.repeats_of in columns.features:
        raise DataSetError(
            "a column of features is the label or the id as well", "Leave it out of --features"
        )
    rest = [column for column in table.columns if column not in {label, columns.repeats_of}]
    found = columns.features or tuple(rest)
    if not found:
        raise DataSetError("the table has no column of features", "Name columns with --features")
    return found


def _unit_factor(target: Target, unit: str | None) -> float:
    if unit is None or unit == target.unit:
        return 1.0
    if unit not in target.units:
        known = ", ".join(name for name in target.units if name) or target.unit
        raise DataSetError(f"{target.words} has no unit {unit!r}", f"Choose one of {known}")
    return target.units[unit]


def _usable_rows(
    table: ForeignTable,
    features: Sequence[str],
    label: str,
    *,
    factor: float,
    target: Target,
    notes: _Notes,
) -> list[int]:
    """The rows that have a label and all numbers; raises DataSetError where there are none."""
    labels = table.columns[label]
    words = [row for row, cell in enumerate(labels) if isinstance(cell, str)]
    if words:
        raise DataSetError(
            f"the label in row {words[0] + 1} is {labels[words[0]]!r}, which is no number",
            "Name another column with --label, or mend the cell",
        )
    unlabelled = [row for row, cell in enumerate(labels) if cell is None]
    invalid = [
        row
        for row, cell in enumerate(labels)
        if cell is not None and not target.is_valid(float(cell) * factor)
    ]
    numeric = [column for column in features if _is_numeric(table.columns[column])]
    incomplete = [
        row for row in range(len(table)) if any(table.columns[column][row] is None for column in numeric)
    ]
    notes.rows("without a label, left out", unlabelled)
    notes.rows(f"whose label is not {target.describe_range()} {target.unit}, left out", invalid)
    notes.rows("without a number in a column of numbers, left out", incomplete)
    dropped = {*unlabelled, *invalid, *incomplete}
    kept = [row for row in range(len(table)) if row not in dropped]
    if not kept:
        raise DataSetError(
            "no row has features and a usable label", "; ".join(notes.lines) or "Check the table"
        )
    return kept


def _is_numeric(cells: Sequence[Choice | None]) -> bool:
    return all(cell is None or not isinstance(cell, str) for cell in cells)


def _cell(table: ForeignTable, column: str, row: int) -> Choice:
    value = table.columns[column][row]
    if value is None:
        return NO_VALUE
    return value if not isinstance(value, str) or value.isprintable() else ascii(value)


def _variable(column: str, table: ForeignTable, kept: Sequence[int]) -> Variable:
    values = {_cell(table, column, row) for row in kept}
    if len(values) > MAX_CHOICES:
        raise DataSetError(
            f"column {column!r} has {len(values)} values, and a variable at most {MAX_CHOICES} choices",
            "Leave it out of --features, or round it",
        )
    return Variable(_variable_name(column), tuple(sorted(values)))


def _variable_name(column: str) -> str:
    """The name of a column as a variable may be called."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", column)
    return (name if re.match(r"[A-Za-z_]", name) else f"_{name}")[:80]


def _architecture(space: Space, varying: Sequence[str], table: ForeignTable, row: int) -> Architecture:
    return Architecture(
        space.name,
        tuple(
            variable.index(_cell(table, column, row))
            for variable, column in zip(space.variables, varying, strict=True)
        ),
    )


def _same_candidates(
    table: ForeignTable,
    id_column: str,
    kept: Sequence[int],
    encoded: dict[int, Architecture],
    notes: _Notes,
) -> list[int]:
    """The rows without those whose id says that they are a candidate that their features say they are not."""
    first: dict[Choice | None, Architecture] = {}
    ids = table.columns[id_column]
    differing = [row for row in kept if first.setdefault(ids[row], encoded[row]) != encoded[row]]
    notes.rows(f"whose features are not those of the first row of that {id_column}, left out", differing)
    return sorted({*kept} - {*differing})


def _group(
    kept: Sequence[int], encoded: dict[int, Architecture], labels: dict[int, float], notes: _Notes
) -> dict[Architecture, list[int]]:
    """Rows of each candidate; those that repeat an earlier one in everything are noted and left out."""
    groups: dict[Architecture, list[int]] = {}
    seen: set[tuple[Architecture, float]] = set()
    copies: list[int] = []
    for row in kept:
        if (key := (encoded[row], labels[row])) in seen:
            copies.append(row)
            continue
        seen.add(key)
        groups.setdefault(encoded[row], []).append(row)
    notes.rows("that copy an earlier row, label included, left out", copies)
    if repeated := sum(len(rows) > 1 for rows in groups.values()):
        notes.lines.append(f"candidates with several rows of different labels, taken as repeats: {repeated}")
    return groups


def _centres(repeats: Sequence[NDArray[np.float64]], target: Target) -> NDArray[np.float64]:
    centre = np.mean if target.noise == "absolute" else np.median
    return np.array([float(centre(values)) for values in repeats])


def _describe_noise(
    repeats: Sequence[NDArray[np.float64]],
    groups: dict[Architecture, list[int]],
    target: Target,
    notes: _Notes,
) -> None:
    """What repeats say of the noise, and labels that are far from all others."""
    several = [np.log(values) if target.scale == "log" else values for values in repeats if len(values) > 1]
    if several:
        spread = float(np.sqrt(np.mean([values.var(ddof=1) for values in several])))
        unit = "of the label" if target.scale == "log" else target.unit
        shown = f"{spread:.1%} {unit}" if target.scale == "log" else f"{spread:.3g} {unit}"
        notes.lines.append(f"repeats of a candidate scatter by {shown} (standard deviation)")
    else:
        notes.lines.append("no candidate was repeated: how noisy the labels are is not known")
    y = _centres(repeats, target)
    scaled = np.log(y) if target.scale == "log" else y
    distance = np.abs(scaled - np.median(scaled))
    limit = OUTLIER_DEVIATIONS * 1.4826 * float(np.median(distance))
    far = [rows[0] for rows, d in zip(groups.values(), distance.tolist(), strict=True) if d > limit > 0.0]
    notes.rows(
        f"kept, though their labels are more than {OUTLIER_DEVIATIONS:g} robust standard deviations from the "
        "median",
        far,
    )
