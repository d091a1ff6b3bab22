"""The work of many networks at once: a table look-up for each stage, and a sum.

What a stage does depends on the choices that shape it and on the map that it receives. Among many networks
these combinations are few, so each one is counted once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.families import get_family
from hytnas_datasets.plan.build import build_fragment, build_stages
from hytnas_datasets.plan.layers import Shape
from hytnas_datasets.plan.stages import Stage
from hytnas_datasets.plan.task import Task
from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.work.columns import WORK_COLUMNS
from hytnas_datasets.work.plan_work import work_of

STAGE_COLUMNS: Final = ("params", "macs", "activations", "layers", *WORK_COLUMNS)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StageTable:
    """What one stage does in n networks.

    Attributes
    ----------
    rows : (m, c) float64
        The columns ``STAGE_COLUMNS`` of each of m different stages.
    index : (n,) int64
        Which row each network has.
    """

    rows: Floats
    index: NDArray[np.int64]

    @property
    def work(self) -> Floats:
        """(m, w) the columns ``WORK_COLUMNS`` of the rows."""
        return self.rows[:, -len(WORK_COLUMNS) :]


def tabulate_stages(space: Space, architectures: Sequence[Architecture], task: Task) -> list[StageTable]:
    """A table for each stage of the space's family, in the order of the network.

    Raises
    ------
    PlanError
        If an architecture has no network for the task.
    SpaceError
        For architectures of another space.
    """
    family = get_family(space.family)
    codes = space.encode(architectures)
    position_of = {variable.name: position for position, variable in enumerate(space.variables)}
    received = np.zeros(len(codes), dtype=np.int64)
    shapes: list[Shape] = [(task.in_channels, task.resolution, task.resolution)]
    tables = []
    for stage, names in enumerate(family.stage_variables(space)):
        shaping = codes[:, [position_of[name] for name in names]]
        first, index = _different(np.column_stack([received, shaping]))
        rows, given = [], []
        for example in first:
            entry = shapes[received[example]]
            row, shape = _stage(build_stages(architectures[example], task)[stage], entry)
            rows.append(row)
            given.append(shape)
        shapes = list(dict.fromkeys(given))
        number = {shape: position for position, shape in enumerate(shapes)}
        received = np.array([number[shape] for shape in given], dtype=np.int64)[index]
        tables.append(StageTable(np.stack(rows), index))
    return tables


def _different(table: NDArray[np.int64]) -> tuple[list[int], NDArray[np.int64]]:
    """The first place of each different row of (n, k) numbers, and (n,) which of these each row is."""
    spans = [(int(column.min()), int(column.max()) + 1) for column in table.T]
    if np.prod([float(high - low) for low, high in spans]) < np.iinfo(np.int64).max:
        key = np.zeros(len(table), dtype=np.int64)
        for column, (low, high) in zip(table.T, spans, strict=True):
            key = key * (high - low) + (column - low)
        _, first, index = np.unique(key, return_index=True, return_inverse=True)
    else:
        _, first, index = np.unique(table, axis=0, return_index=True, return_inverse=True)
    return first.tolist(), index.reshape(-1).astype(np.int64)


@lru_cache(maxsize=131072)
def _stage(stage: Stage, entry: Shape) -> tuple[Floats, Shape]:
    fragment = build_fragment(stage, entry)
    counts = fragment.counts
    totals = (counts.params, counts.macs, counts.activations, len(fragment.layers))
    row = np.concatenate([np.array(totals, dtype=np.float64), work_of(fragment.layers)])
    row.flags.writeable = False
    return row, fragment.shape
