"""Counts and hashes of many networks of one space, without writing out their layers.

What a stage computes depends on the choices that shape it and on the map that it receives. Among many
networks these combinations are few, so each is looked up, and only a new one is built.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hytnas_datasets.families.registry import get_family
from hytnas_datasets.plan.build import StageSummary, build_stages, hash_stages, image_of, summarise
from hytnas_datasets.plan.layers import Counts, Shape
from hytnas_datasets.plan.task import Task
from hytnas_datasets.spaces.space import Architecture, Space

MAX_COMBINATIONS: Final = 65536
"""How many different stages are remembered; beyond it all of them are forgotten."""


@dataclass(frozen=True)
class NetworkSummary:
    """``counts`` and ``hash`` of a layer plan."""

    counts: Counts
    hash: str


class PlanSummaries:
    """Summaries of the networks of a space with networks, for one task.

    Parameters
    ----------
    space : Space
    task : Task

    Examples
    --------
    >>> import numpy as np
    >>> from hytnas_datasets.plan import build_plan
    >>> from hytnas_datasets.spaces import get_space
    >>> space = get_space("hyt")
    >>> architecture = space.sample(1, np.random.default_rng(0))[0]
    >>> summary = PlanSummaries(space, Task())([architecture])[0]
    >>> summary.hash == build_plan(architecture, Task()).hash
    True
    """

    def __init__(self, space: Space, task: Task) -> None:
        self._space = space
        self._task = task
        position_of = {variable.name: position for position, variable in enumerate(space.variables)}
        shaping = get_family(space.family).stage_variables(space)
        self._shaping = [[position_of[name] for name in names] for names in shaping]
        self._known: dict[tuple[int, Shape, tuple[int, ...]], StageSummary] = {}

    def __call__(self, architectures: Sequence[Architecture], /) -> list[NetworkSummary]:
        """The summary of each of n architectures.

        Raises
        ------
        PlanError
            If an architecture has no network for the task.
        SpaceError
            For architectures of another space.
        """
        codes = self._space.encode(architectures)
        columns = [map(tuple, codes[:, positions].tolist()) for positions in self._shaping]
        return [
            self._summarise(*each) for each in zip(architectures, zip(*columns, strict=True), strict=True)
        ]

    def _summarise(self, architecture: Architecture, choices: tuple[tuple[int, ...], ...]) -> NetworkSummary:
        """Of one architecture, with the choices that shape each stage."""
        if len(self._known) > MAX_COMBINATIONS:
            self._known = {}
        shape = image_of(self._task)
        counts, digests = [], []
        for position, chosen in enumerate(choices):
            key = (position, shape, chosen)
            if key not in self._known:
                stage = build_stages(architecture, self._task)[position]
                self._known[key] = summarise(stage, shape)
            counted, digest, shape = self._known[key]
            counts.append(counted)
            digests.append(digest)
        return NetworkSummary(sum(counts, start=Counts()), hash_stages(digests))
