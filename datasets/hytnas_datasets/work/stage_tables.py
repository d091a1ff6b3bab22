"""The work of many networks at once: table look-ups for each stage, and a sum.

What a stage does depends on the choices that shape it and on the map that it receives. Among many networks
these combinations are few, and still fewer for the parts of a stage that repeats a block. Each
is counted once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from hytnas_datasets.families import get_family
from hytnas_datasets.families.family import RepeatVariables
from hytnas_datasets.plan.build import build_fragment, build_stages
from hytnas_datasets.plan.layers import Shape
from hytnas_datasets.plan.stages import RepeatingStage, Stage
from hytnas_datasets.plan.task import Task
from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.spaces.variables import INACTIVE
from hytnas_datasets.work.columns import WORK_COLUMNS
from hytnas_datasets.work.plan_work import work_of

STAGE_COLUMNS: Final = ("params", "macs", "activations", "layers", *WORK_COLUMNS)
WORK: Final = slice(len(STAGE_COLUMNS) - len(WORK_COLUMNS), None)
"""Where the work columns are among ``STAGE_COLUMNS``."""

MAX_COMBINATIONS: Final = 2**48
DENSE: Final = 4
"""A table of all combinations that is so many times longer than the networks is still faster than sorting."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class StageTable:
    """What one stage does in n networks: some rows of a table, each so many times.

    Attributes
    ----------
    rows : (m, c) float64
        The columns ``STAGE_COLUMNS`` of m different parts of stages.
    index : (n, k) int64
        Which rows each network has.
    times : (n, k) float64
        How often it has each of them.
    widths : (n, 2) float64
        Channels that the first convolution of the stage writes, and that the stage gives.
    """

    rows: Floats
    index: Ints
    times: Floats
    widths: Floats


def sum_stages(tables: Sequence[StageTable], columns: slice | Sequence[int]) -> Floats:
    """(n, d) these of the ``STAGE_COLUMNS``, summed over stages."""
    from scipy.sparse import csr_array  # noqa: PLC0415 (slow to import, and only for features)

    offsets = np.cumsum([0, *(len(table.rows) for table in tables)])
    index = np.hstack([table.index + offset for table, offset in zip(tables, offsets[:-1], strict=True)])
    times = np.hstack([table.times for table in tables])
    rows = np.vstack([table.rows[:, columns] for table in tables])
    ends = np.arange(0, index.size + 1, index.shape[1])
    return np.asarray(csr_array((times.ravel(), index.ravel(), ends), shape=(len(index), len(rows))) @ rows)


def tabulate_stages(space: Space, architectures: Sequence[Architecture], task: Task) -> list[StageTable]:
    """A table for each stage of the space's family, in the order of the network.

    Raises
    ------
    PlanError
        If an architecture has no network for the task.
    SpaceError
        For architectures of another space.
    """
    family, choices = get_family(space.family), _Choices(space, architectures, task)
    shapes: list[Shape] = [(task.in_channels, task.resolution, task.resolution)]
    tables = []
    variables = zip(family.stage_variables(space), family.repeat_variables(space), strict=True)
    for stage, (names, repeated) in enumerate(variables):
        first, index = choices.different(repeated.rest if repeated else names)
        stages = choices.stages(stage, first)
        rest = [cast(RepeatingStage, each).rest for each in stages] if repeated else stages
        entries = [shapes[received] for received in choices.received[first]]
        rows, given, widths = _count_all(rest, entries)
        shapes = list(dict.fromkeys(given))
        number = {shape: position for position, shape in enumerate(shapes)}
        choices.received = np.array([number[shape] for shape in given], dtype=np.int64)[index]
        once = StageTable(rows, index[:, None], np.ones((len(index), 1)), widths[index])
        tables.append(_with_blocks(once, choices, stage, repeated, shapes) if repeated else once)
    return tables


class _Choices:
    """The choices of n networks, and which map each one receives at the stage that is looked at."""

    def __init__(self, space: Space, architectures: Sequence[Architecture], task: Task) -> None:
        self._architectures, self._task = architectures, task
        codes = np.ascontiguousarray(space.encode(architectures).T)
        self._choices = {
            variable.name: (column - INACTIVE, len(variable.choices) + 1)
            for variable, column in zip(space.variables, codes, strict=True)
        }
        self.received = np.zeros(len(architectures), dtype=np.int64)

    def different(self, names: Sequence[str]) -> tuple[list[int], Ints]:
        """The first network of each combination of these variables and the map, and (n,) their numbers."""
        key, combinations = self.received, int(self.received.max(initial=0)) + 1
        for name in names:
            column, choices = self._choices[name]
            if combinations * choices > MAX_COMBINATIONS:  # number those that there are
                key = np.unique(key, return_inverse=True)[1]
                combinations = int(key.max(initial=0)) + 1
            key, combinations = key * choices + column, combinations * choices
        if combinations > DENSE * len(key):
            _, first, index = np.unique(key, return_index=True, return_inverse=True)
            return first.tolist(), index
        place = np.full(combinations, -1)
        place[key[::-1]] = np.arange(len(key))[::-1]
        there = place >= 0
        return place[there].tolist(), (np.cumsum(there) - 1)[key]

    def stages(self, position: int, networks: Sequence[int]) -> list[Stage]:
        """The stage at a position of the family, in each of these networks."""
        return [build_stages(self._architectures[each], self._task)[position] for each in networks]


def _with_blocks(
    rest: StageTable, choices: _Choices, stage: int, names: RepeatVariables, shapes: Sequence[Shape]
) -> StageTable:
    """The table of a stage that repeats a block, from that of its rest and the (s,) shapes that it gives."""
    first, index = choices.different(names.block)
    blocks = [cast(RepeatingStage, each).block for each in choices.stages(stage, first)]
    rows, _, _ = _count_all(blocks, [shapes[given] for given in choices.received[first]])
    first, number = choices.different(names.times)
    times = np.array([float(cast(RepeatingStage, each).times) for each in choices.stages(stage, first)])
    return StageTable(
        np.vstack([rest.rows, rows]),
        np.hstack([rest.index, len(rest.rows) + index[:, None]]),
        np.hstack([rest.times, times[number][:, None]]),
        rest.widths,
    )


def _count_all(stages: Sequence[Stage], entries: Sequence[Shape]) -> tuple[Floats, list[Shape], Floats]:
    """(m, c) the columns ``STAGE_COLUMNS`` of m stages, the maps that they give, and their (m, 2) widths."""
    found = [_count(stage, entry) for stage, entry in zip(stages, entries, strict=True)]
    rows, shapes, widths = zip(*found, strict=True)
    return np.stack(rows), list(shapes), np.array(widths, dtype=np.float64)


@lru_cache(maxsize=131072)
def _count(stage: Stage, entry: Shape) -> tuple[Floats, Shape, tuple[int, int]]:
    fragment = build_fragment(stage, entry)
    counts = fragment.counts
    totals = (counts.params, counts.macs, counts.activations, len(fragment.layers))
    row = np.concatenate([np.array(totals, dtype=np.float64), work_of(fragment.layers)])
    row.flags.writeable = False
    given = fragment.shape
    first = next((layer.shape[0] for layer in fragment.layers if layer.kind == "conv"), given[0])
    return row, given, (first, given[0])
