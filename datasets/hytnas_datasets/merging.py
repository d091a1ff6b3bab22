"""Labelled sets put together, where nothing that their labels depend on differs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.errors import DataSetError
from hytnas_datasets.label_context import describe
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.quality_flags import QualityFlags
from hytnas_datasets.spaces import Architecture


def merge(sets: Sequence[LabelledSet], /) -> LabelledSet:
    """One set of several that were labelled alike; of a network in two of them the first label stays.

    Raises
    ------
    DataSetError
        They differ in space, target or context, or come from boards that no set of them
        holds together: a study alone can tell whether its boards agree.
    """
    if not sets:
        raise DataSetError("there is nothing to merge", "Name at least one study")
    first = sets[0]
    for other in sets[1:]:
        differing = first.context.differences(other.context)
        if first.target != other.target:
            differing = {"target": (first.target.name, other.target.name)} | differing
        if differing:
            raise DataSetError(
                f"the sets differ in {describe(differing)}, and their labels cannot be mixed",
                "Keep one data set for each",
            )
        if first.space.hash() != other.space.hash():
            raise DataSetError("the sets are of different spaces, and their labels cannot be mixed")
    _refuse_unlike_boards(sets)
    known = all(part.quality_flags for part in sets)
    rows: dict[str, tuple[Architecture, float, NDArray[np.float64], tuple[str, ...], QualityFlags]] = {}
    for part in sets:
        for architecture, plan_hash, y, repeats, boards, quality_flags in zip(
            part.architectures,
            part.plan_hashes,
            part.y.tolist(),
            part.repeats,
            part.devices or ((),) * len(part),
            part.quality_flags or (frozenset(),) * len(part),
            strict=True,
        ):
            rows.setdefault(plan_hash, (architecture, y, repeats, boards, quality_flags))
    return replace(
        first,
        architectures=tuple(row[0] for row in rows.values()),
        plan_hashes=tuple(rows),
        y=np.array([row[1] for row in rows.values()], dtype=np.float64),
        repeats=tuple(row[2] for row in rows.values()),
        devices=tuple(row[3] for row in rows.values()) if any(part.devices for part in sets) else (),
        quality_flags=tuple(row[4] for row in rows.values()) if known else (),
    )


def _refuse_unlike_boards(sets: Sequence[LabelledSet]) -> None:
    boards = {board for part in sets for row in part.devices for board in row}
    if len(boards) < 2 or any({board for row in part.devices for board in row} == boards for part in sets):
        return
    raise DataSetError(
        f"the sets come from the boards {', '.join(sorted(boards))}, and nothing tells whether they agree",
        "Collect on them together in one study, where their canaries are compared",
    )
